// The sentences that `drover explain` and `drover info` print: amounts as a person writes them, why a host was chosen, and
// what stood in the way when none was. Programs match on the refusals' names, never on these words.

import type { Resources } from '@drover/protocol'
import type { Refusal, RefusalName } from './feasible.ts'
import type { Ranked } from './rank.ts'
import type { Demand } from './snapshot.ts'

export const resourceNames: Record<keyof Resources, string> = {
  cpuMilli: 'cpu',
  memoryBytes: 'memory',
  diskBytes: 'disk',
  pids: 'pids',
}

/** An amount of a resource with its unit, e.g. `64 MiB`, `0.5 cores`. */
export function describeAmount(resource: keyof Resources, value: number): string {
  if (resource === 'pids') return String(value)
  if (resource === 'cpuMilli') return `${value / 1000} ${value === 1000 ? 'core' : 'cores'}`
  return describeBytes(value)
}

/** One sentence: why the first of `ranked` was taken. */
export function explainChoice(ranked: readonly Ranked[], demand: Demand): string {
  const [best, second] = ranked
  if (!best) throw new Error('explainChoice: no host was ranked')
  const fill = `${resourceNames[best.dominant]} ${percent(best.score)} after placing`
  const image = best.hasImage ? 'image is there' : 'image has to be fetched'
  return `${advantage(best, second, demand)}: ${fill}; ${image}`
}

/** One sentence: why no host can take it. */
export function explainRefusals(refusals: readonly Refusal[], demand: Demand): string {
  if (refusals.length === 0) return `no host can take ${demand.name}: no host has joined the cluster`
  const counts = new Map<RefusalName, number>()
  for (const { name } of refusals) counts.set(name, (counts.get(name) ?? 0) + 1)
  const causes = [...counts].map(([name, count]) => `${count} ${refusalPhrases[name]}`)
  return `no host can take ${demand.name}: ${causes.join(', ')}`
}

function advantage(best: Ranked, second: Ranked | undefined, demand: Demand): string {
  if (demand.host !== null) return 'the host that was asked for'
  if (!second) return 'the only host that fits'
  if (best.score > second.score) return 'fullest host that fits'
  if (best.hasImage !== second.hasImage) return 'as full as others, and it has the image'
  if (best.host.containers !== second.host.containers) return 'as full as others, with fewer containers'
  return 'as good as others, drawn by lot'
}

const refusalPhrases: Record<RefusalName, string> = {
  NOT_THE_REQUESTED_HOST: 'not the host that was asked for',
  HOST_EXCLUDED: 'excluded',
  HOST_NOT_READY: 'not ready',
  HOST_CORDONED: 'cordoned',
  HOST_NOT_MIGRATABLE: 'without a usable CRIU',
  INSUFFICIENT_MEMORY: 'short of memory',
  INSUFFICIENT_CPU: 'short of cpu',
  INSUFFICIENT_DISK: 'short of disk',
  INSUFFICIENT_PIDS: 'short of pids',
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

function describeBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${byteUnits[unit]}`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
