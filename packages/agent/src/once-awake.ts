// What is asked of a container that stands still for a moment (its disk is copied for a snapshot, it comes from another host or goes there) waits
// for that moment's end: nobody froze it who would thaw it, so an error would tell of nothing that its user could do.

import { DroverError } from '@drover/protocol'
import type { EngineMirror } from './engine-mirror.ts'
import type { EnginePort } from './engine-port.ts'
import type { MigrationSession } from './migration/session.ts'
import type { SnapshotJobs } from './snapshots/jobs.ts'

const patienceMs = 60_000
const askAgainMs = 20

interface Known {
  mirror: Pick<EngineMirror, 'get'>
  snapshots: Pick<SnapshotJobs, 'held'>
  sessions: { ofContainer(container: string): Pick<MigrationSession, 'side' | 'step' | 'ended' | 'switches'>[] }
}

/**
 * The same engine, for those who ask about one container or in it. Where it has gone to another host instead, they get BUSY with `left` in its
 * context: nothing was done here.
 */
export function onceAwake(engine: EnginePort, known: Known, withinMs = patienceMs): EnginePort {
  return {
    call: (method, params, options) =>
      'container' in params
        ? ask(known, params.container, withinMs, () => engine.call(method, params, options))
        : engine.call(method, params, options),
    exec: (params, handlers) => ask(known, params.container, withinMs, () => engine.exec(params, handlers)),
  }
}

async function ask<Answer>(
  known: Known,
  container: string,
  withinMs: number,
  attempt: () => Promise<Answer>,
): Promise<Answer> {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    const late = performance.now() > deadlineMs
    // What is written there from now on would stay there.
    const goes = known.sessions.ofContainer(container).some(({ switches, ended }) => switches && !ended)
    if (!goes || late) {
      try {
        return await attempt()
      } catch (thrown) {
        const { code } = DroverError.from(thrown)
        if (code !== 'WRONG_STATE' && code !== 'BUSY' && code !== 'CONTAINER_NOT_FOUND') throw thrown
        if (late || !goesOnSoon(known, container)) throw hasLeft(known, container) ? left(container) : thrown
      }
    }
    await new Promise((resolve) => setTimeout(resolve, askAgainMs))
  }
}

/** It was thawed since the engine was asked, or we do so ourselves. */
function goesOnSoon({ mirror, snapshots, sessions }: Known, container: string): boolean {
  return (
    mirror.get(container)?.state === 'running' ||
    snapshots.held(container) ||
    sessions.ofContainer(container).some(({ ended }) => !ended)
  )
}

/** One that came back since has a later session. */
function hasLeft({ sessions }: Known, container: string): boolean {
  const last = sessions.ofContainer(container).at(-1)
  return last?.side === 'source' && last.step === 'cleaned'
}

const left = (container: string) =>
  new DroverError('BUSY', `${container} has just moved to another host; ask again`, {
    retryable: true,
    context: { left: true },
  })
