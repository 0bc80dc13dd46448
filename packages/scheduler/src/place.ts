// Places one demand: feasible → rank → take the first. The answer always carries every host with its score or its refusal,
// so that it can be kept with the container and shown later.

import { explainChoice, explainRefusals } from './explain.ts'
import { poolOf, type Refusal, refusalOf, type Trial, trialOf } from './feasible.ts'
import { isOpen, rank } from './rank.ts'
import { type ClusterSnapshot, type Demand, defaultPool, type HostSnapshot, type PlaceResult } from './snapshot.ts'

/** `seed` breaks ties: the proposer draws it and puts it into the log entry, so that the plan can be computed again. */
export function place(snapshot: ClusterSnapshot, demand: Demand, seed: number): PlaceResult {
  const trial = trialOf(snapshot, demand)
  const { feasible, refused } = split(snapshot, trial)
  const ranked = rank(feasible, trial, openHosts(snapshot, trial), seed)
  const hosts = [
    ...ranked.map(({ host, score }) => ({ host: host.name, feasible: true, refusal: null, detail: null, score })),
    ...refused.map(({ host, refusal }) => ({
      host: host.name,
      feasible: false,
      refusal: refusal.name,
      detail: refusal.detail,
      score: null,
    })),
  ]
  const best = ranked[0]
  if (!best) {
    const reason = explainMissing(snapshot, demand) ?? explainRefusals(refusals(refused), demand)
    return { host: null, placement: { chosen: '', reason, hosts } }
  }
  const chosen = best.host.name
  return {
    host: chosen,
    placement: { chosen, reason: explainChoice(ranked, demand, poolOf(best.host, trial.pools)), hosts },
  }
}

interface Refused {
  host: HostSnapshot
  refusal: Refusal
}

/** How many hosts of the demand's pool are in use and not nearly full; only packing by holes asks. */
function openHosts(snapshot: ClusterSnapshot, { demand, pools }: Trial): number {
  const name = demand.constraints?.pool ?? defaultPool
  const pool = pools[name]
  if (!pool?.fill) return 0
  return snapshot.hosts.filter((host) => (host.pool ?? defaultPool) === name && isOpen(host, pool)).length
}

function split(snapshot: ClusterSnapshot, trial: Trial) {
  const feasible: HostSnapshot[] = []
  const refused: Refused[] = []
  for (const host of snapshot.hosts) {
    const refusal = refusalOf(host, trial.demand, trial)
    if (refusal) refused.push({ host, refusal })
    else feasible.push(host)
  }
  refused.sort((left, right) => (left.host.name < right.host.name ? -1 : 1))
  return { feasible, refused }
}

/** When one host was asked for, its own refusal is what matters; the others' is that they weren't asked for. */
function refusals(refused: readonly Refused[]): Refusal[] {
  const all = refused.map(({ refusal }) => refusal)
  const asked = all.filter(({ name }) => name !== 'NOT_THE_REQUESTED_HOST')
  return asked.length > 0 ? asked : all
}

function explainMissing(snapshot: ClusterSnapshot, demand: Demand): string | null {
  if (demand.host === null || snapshot.hosts.some(({ name }) => name === demand.host)) return null
  return `no host can take ${demand.name}: host ${demand.host} is not in the cluster`
}
