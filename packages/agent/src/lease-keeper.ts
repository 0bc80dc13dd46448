// Hands the host's lease to the engine: until when those containers may run that may be started elsewhere when this host is lost. It is
// renewed by each answer to a pull, counted from when the pull was sent, since the leader counts from when it came. The engine does the
// rest by itself: it freezes them when the lease is over, whether this agent lives or not. Hosts without such containers do nothing.

import { uptime } from 'node:os'
import { type Assignment, DroverError } from '@drover/protocol'
import type { AssignmentStore } from './assignment-store.ts'
import { type EnginePort, engineDeadlines } from './engine-port.ts'
import type { Log } from './parts.ts'

export class LeaseKeeper {
  readonly #engine: Pick<EnginePort, 'call'>
  readonly #store: Pick<AssignmentStore, 'all' | 'get'>
  readonly #log: Pick<Log, 'warn'>
  #untilMs = 0
  /** What the engine was told last: epochs by container. null: it isn't known. */
  #named: Record<string, number> | null = null
  /** Tellings go one after the other, so that a later list is never overtaken by an earlier one. */
  #telling: Promise<void> = Promise.resolve()

  constructor(engine: Pick<EnginePort, 'call'>, store: Pick<AssignmentStore, 'all' | 'get'>, log: Pick<Log, 'warn'>) {
    this.#engine = engine
    this.#store = store
    this.#log = log
  }

  /** The leader has answered. */
  renew(untilMs: number): void {
    this.#untilMs = Math.max(this.#untilMs, untilMs)
    void this.#tell()
  }

  /** Something of what is assigned has changed: what is new here is named at once. */
  assigned(containers: readonly string[]): void {
    const named = this.#named ?? {}
    if (containers.some((id) => id in named || needsLease(this.#store.get(id)))) void this.#tell()
  }

  /** Another engine process, perhaps: it is told again. */
  engineBack(): void {
    this.#named = null
    void this.#tell()
  }

  /** Before the engine is asked to let it run: resolves when the lease names it, if it needs that. */
  async cover(container: string): Promise<void> {
    const assignment = this.#store.get(container)
    if (!needsLease(assignment)) return
    if (this.#named?.[container] !== assignment?.epoch) await this.#tell()
  }

  #tell(): Promise<void> {
    this.#telling = this.#telling.then(() => this.#tellNow())
    return this.#telling
  }

  async #tellNow(): Promise<void> {
    const containers: Record<string, number> = {}
    for (const assignment of this.#store.all()) {
      if (needsLease(assignment)) containers[assignment.container] = assignment.epoch
    }
    const nothing = Object.keys(containers).length === 0
    if (nothing && this.#named !== null && Object.keys(this.#named).length === 0) return
    if (this.#untilMs === 0) return
    try {
      await this.#engine.call('lease', { untilMs: this.#untilMs, containers }, { deadlineMs: engineDeadlines.quick })
      this.#named = containers
    } catch (thrown) {
      this.#named = null
      this.#log.warn({ error: DroverError.from(thrown).message }, 'renew the lease')
    }
  }
}

/** Milliseconds of CLOCK_BOOTTIME, as the engine counts. Rounded down: a lease may end early, never late. */
export const bootMs = (): number => Math.floor(uptime() * 1000)

const needsLease = (assignment: Assignment | null): boolean =>
  assignment !== null && assignment.role !== 'none' && assignment.spec.scheduling?.heal === 'fresh'
