// Follows the first boots of the containers that run here: starts the script of one that has yet to begin, and looks at its record until
// that says how it ended. Nothing of it is lost with this process: the script goes on by itself, and its record is inside.

import type { EngineContainer } from '@drover/engine'
import { type Assignment, DroverError, type FirstBootOutcome } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { Disk } from './disk.ts'
import { killedOutcome, outcomeOfCloudInit, outcomeOfScript } from './outcome.ts'
import { firstBootPlace, instanceOf } from './place.ts'

const firstPauseMs = 200
const lastPauseMs = 5_000
const startDeadlineMs = 30_000
const cloudInitResult = '/run/cloud-init/result.json'
const cloudInitSeed = '/var/lib/cloud/seed/nocloud/meta-data'

interface Followed {
  instance: string
  outcome: FirstBootOutcome | null
  /** Nothing more will come. */
  ended: boolean
  looking: boolean
  timer: NodeJS.Timeout | null
}

export class FirstBootKeeper {
  readonly #parts: AgentParts
  readonly #changed: (container: string) => void
  #followed = new Map<string, Followed>()
  #closed = false

  constructor(parts: AgentParts, changed: (container: string) => void) {
    this.#parts = parts
    this.#changed = changed
  }

  outcome(container: string): FirstBootOutcome | null {
    return this.#followed.get(container)?.outcome ?? null
  }

  /** Of one that runs here; calling it again changes nothing. */
  follow(assignment: Assignment): void {
    const { container, spec } = assignment
    if (spec.firstBoot === undefined || this.#closed) return
    const instance = instanceOf(assignment)
    let followed = this.#followed.get(container)
    if (followed?.instance !== instance) {
      this.forget(container)
      followed = { instance, outcome: null, ended: false, looking: false, timer: null }
      this.#followed.set(container, followed)
    }
    if (followed.ended || followed.looking) return
    followed.looking = true
    void this.#look(container, followed, firstPauseMs)
  }

  forget(container: string): void {
    const followed = this.#followed.get(container)
    if (!followed) return
    followed.looking = false
    if (followed.timer) clearTimeout(followed.timer)
    this.#followed.delete(container)
  }

  close(): void {
    this.#closed = true
    for (const container of [...this.#followed.keys()]) this.forget(container)
  }

  async #look(container: string, followed: Followed, pauseMs: number): Promise<void> {
    const assignment = this.#parts.store.get(container)
    const engine = this.#parts.mirror.get(container)
    // Frozen, on its way elsewhere, stopped: who sees it run next follows it again.
    if (!followed.looking || assignment?.role !== 'owner' || engine?.state !== 'running') {
      followed.looking = false
      return
    }
    try {
      const seen = await this.#see(assignment, engine)
      if (JSON.stringify(seen) !== JSON.stringify(followed.outcome)) {
        followed.outcome = seen
        this.#changed(container)
      }
      followed.ended = seen?.state !== 'running'
    } catch (thrown) {
      this.#parts.log.debug({ container, error: DroverError.from(thrown).message }, 'look at a first boot')
    }
    if (followed.ended || !followed.looking) {
      followed.looking = false
      return
    }
    followed.timer = setTimeout(() => {
      void this.#look(container, followed, Math.min(pauseMs * 2, lastPauseMs))
    }, pauseMs)
    followed.timer.unref()
  }

  /** Null: there is no first boot to follow. */
  async #see(assignment: Assignment, engine: EngineContainer): Promise<FirstBootOutcome | null> {
    const disk = new Disk(this.#parts, assignment.container)
    const place = firstBootPlace(assignment)
    if (!(await disk.has(place.record))) {
      return (await disk.has(cloudInitSeed)) ? outcomeOfCloudInit(await disk.text(cloudInitResult)) : null
    }
    const state = await disk.text(place.state)
    if (state === null || state === '') {
      if (!(await disk.has(place.script))) return { state: 'done', by: 'drover', message: '' }
      await this.#begin(assignment, engine, place.script)
      return { state: 'running', by: 'drover', message: 'beginning' }
    }
    const { outcome, pid } = outcomeOfScript(state, engine.starts)
    if (pid === null || (await disk.has(`/proc/${pid}`))) return outcome
    // It may have ended between the two looks.
    const now = outcomeOfScript((await disk.text(place.state)) ?? '', engine.starts)
    return now.pid === null ? now.outcome : killedOutcome(now.outcome)
  }

  /** The script sees to it that it runs once, so a second call does no harm. */
  async #begin({ container }: Assignment, { starts }: EngineContainer, script: string): Promise<void> {
    const session = await this.#parts.engine.exec({
      container,
      command: ['/bin/sh', script, String(starts)],
      environment: {},
      directory: '/',
      user: null,
      terminal: null,
    })
    const timer = setTimeout(() => session.close(), startDeadlineMs)
    session.end()
    try {
      await session.exit
    } finally {
      clearTimeout(timer)
    }
  }
}
