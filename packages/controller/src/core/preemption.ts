// Who may be stopped to make room for a more important container, and what being preempted means: it has been stopped, asks for nothing
// but its disk, and waits for room to start again. Pure rules over the committed state.

import type { Operation, Preempted, Resources } from '@drover/protocol'
import { poolOfHost } from './scheduling-policy.ts'
import type { ClusterState, StoredContainer } from './state.ts'

/** To shut down by the signal that its init wants; then it is killed. As long as Kubernetes gives by default. */
export const preemptTimeoutMs = 30_000
/** Before it is tried to start again; doubled with each time in a row. */
const leastRestMs = 10_000
const longestRestMs = 10 * 60_000
/** Whoever ran for so long since is preempted for the first time again. */
const calmAfterMs = 60 * 60_000

export const priorityOf = ({ spec }: Pick<StoredContainer, 'spec'>): number => spec.scheduling?.priority ?? 0

/** Its own word counts, else that of the pool of its host; unsaid: it may not. */
export function mayBePreempted(state: ClusterState, { spec, host }: Pick<StoredContainer, 'spec' | 'host'>): boolean {
  const own = spec.scheduling?.preemptible
  if (own !== undefined) return own
  const here = state.tables.hosts.get(host)
  const below = here === undefined ? undefined : poolOfHost(state, here).preemptBelow
  return below !== undefined && priorityOf({ spec }) < below
}

/** What it asks of its host now. */
export function heldRequests({ spec, preempted }: Pick<StoredContainer, 'spec' | 'preempted'>): Resources {
  return preempted === undefined ? spec.requests : { ...nothing, diskBytes: spec.requests.diskBytes }
}

/** What its host must have free for it to start again. */
export const missingRequests = ({ spec }: Pick<StoredContainer, 'spec'>): Resources => ({
  ...spec.requests,
  diskBytes: 0,
})

export function newlyPreempted(
  { preemptions }: StoredContainer,
  { by, priority, atMs }: Pick<Preempted, 'by' | 'priority' | 'atMs'>,
): Pick<StoredContainer, 'preempted' | 'preemptions'> {
  const calm = preemptions === undefined || atMs - preemptions.lastAtMs > calmAfterMs
  const inARow = calm ? 1 : preemptions.inARow + 1
  return {
    preempted: { by, priority, atMs, resumes: true, notBeforeMs: atMs + restMs(inARow), tries: 0 },
    preemptions: { inARow, lastAtMs: atMs },
  }
}

/** It could not be started again now. */
export function waitsLonger(preempted: Preempted, atMs: number): Preempted {
  const tries = preempted.tries + 1
  return { ...preempted, tries, notBeforeMs: atMs + restMs(tries) }
}

/** What waits again when this start comes to nothing; null: it is no such start. */
export const preemptedBefore = ({ kind, parameters }: Operation): Preempted | null =>
  kind === 'start' ? ((parameters.preempted as Preempted | undefined) ?? null) : null

export function describePreempted({ by, priority, resumes }: Preempted): string {
  const then = resumes ? 'it starts again when there is room' : 'it was stopped meanwhile, and stays so'
  return `preempted by ${by} (priority ${priority}); ${then}`
}

const restMs = (times: number): number => Math.min(longestRestMs, leastRestMs * 2 ** Math.min(times - 1, 30))

const nothing: Resources = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }
