// The last look at a container before a live move, and patience with what passes by itself: unread netlink data, connections
// that are not accepted yet, a vfork. What does not pass is refused by name, before anything is frozen.

import { setTimeout as delay } from 'node:timers/promises'
import type { EngineMethods } from '@drover/engine'
import { type Assignment, coldFallback, DroverError, type PreflightFinding } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { AgentParts } from '../parts.ts'
import type { MigrationSession } from './session.ts'

/** What passes by itself does so within milliseconds; what is there at every look of these two seconds does not. */
const looks = 20
/** From the beginning of one to that of the next: the engine watches a sleep for as long. */
const betweenLooksMs = 100
/** An engine that can't look so often can't at all. */
const mostMissedLooks = 3
/** A dump that met such a thing all the same has thawed the container: it is asked again, this often, after these pauses. */
const pausesMs = [50, 200, 500]

/** CRIU's words for what passes. Control messages: an unread datagram with its sender's credentials, as systemd and journald get them. */
const passingWords =
  /netlink: The socket has data to read|skqueue: Control messages in queue|In-flight connection|Unseizable non-zombie|zombie .* found while seizing/

/** Throws NOT_MIGRATABLE with what was found. An engine that can't look is no reason: the dump will tell. */
export async function requireMovable(
  parts: AgentParts,
  session: MigrationSession,
  { container }: Pick<Assignment, 'container'>,
): Promise<void> {
  let persistent: PreflightFinding[] | null = null
  let missed = 0
  for (let look = 0; look < looks; look++) {
    const next = performance.now() + betweenLooksMs
    const found = await findingsOf(parts, container)
    // Not to have looked is not to have found nothing.
    if (found !== null) {
      const blocking = found.filter(({ passing }) => !passing)
      if (blocking.length > 0) throw refusal(blocking)
      persistent = persistent === null ? found : persistent.filter((old) => found.some((now) => same(old, now)))
      if (persistent.length === 0) return
    } else if (++missed === mostMissedLooks) break
    await delay(Math.max(0, next - performance.now()), undefined, { signal: session.signal })
  }
  if (persistent !== null) throw refusal(persistent)
}

/** What its processes hold in memory, at most: pages that several share are counted for each, the cgroup's files are not. 0: unknown. */
export async function residentBytes(parts: AgentParts, container: string): Promise<number> {
  const accounted = parts.mirror.get(container)?.memoryBytes ?? 0
  try {
    const { processes } = await parts.engine.call('processes', { container }, { deadlineMs: engineDeadlines.quick })
    const resident = processes.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0)
    return accounted > 0 ? Math.min(accounted, resident) : resident
  } catch {
    return accounted
  }
}

/** `again`: whether it may be asked again. */
export async function checkpointPatiently(
  parts: AgentParts,
  session: MigrationSession,
  params: EngineMethods['checkpoint']['params'],
  again: () => boolean = () => true,
): Promise<EngineMethods['checkpoint']['result']> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await parts.engine.call('checkpoint', params, { deadlineMs: engineDeadlines.checkpoint })
    } catch (thrown) {
      const error = DroverError.from(thrown)
      const pauseMs = pausesMs[attempt]
      const passes = error.code === 'CHECKPOINT_FAILED' && passingWords.test(error.message)
      if (!passes || pauseMs === undefined || !again()) throw thrown
      parts.log.info({ container: params.container, attempt, error: error.message }, 'dump is tried again')
      session.figures.checkpoint_retries = attempt + 1
      await delay(pauseMs, undefined, { signal: session.signal })
    }
  }
}

/** Null: it couldn't look. */
async function findingsOf(parts: AgentParts, container: string): Promise<PreflightFinding[] | null> {
  try {
    return (await parts.engine.call('preflight', { container }, { deadlineMs: engineDeadlines.quick })).findings
  } catch (thrown) {
    parts.log.warn({ container, error: DroverError.from(thrown).message }, 'no preflight')
    return null
  }
}

const same = (left: PreflightFinding, right: PreflightFinding): boolean =>
  left.reason === right.reason && left.pid === right.pid

function refusal(findings: PreflightFinding[]): DroverError {
  const told = findings.map(({ message }) => message).join('; ')
  const reasons = findings.map(({ reason }) => reason)
  return new DroverError('NOT_MIGRATABLE', `${told}; ${coldFallback}`, {
    context: { reasons },
  })
}
