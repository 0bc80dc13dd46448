// One worker per container that has something to do: asks the reconciler for the next step, runs it, asks again, and ends when there is
// none. So the steps of a container never overlap, and those of different containers run side by side (heavy ones at most
// `maxHeavySteps`). A step that fails is tried again after a pause that doubles; a new assignment tries at once.

import { DroverError, type ErrorCode } from '@drover/protocol'
import { FirstBootKeeper } from './first-boot/keeper.ts'
import type { AgentParts } from './parts.ts'
import { waitsForOthers, wentDownWithHost } from './reconcile/restart-policy.ts'
import { type Facts, isObsolete, nextStep, type StepKind } from './reconcile.ts'
import { RestartKeeper } from './restart-keeper.ts'
import { snapshotFacts } from './snapshots/facts.ts'
import { execute, heavySteps } from './steps/execute.ts'

export interface StepFailure {
  kind: StepKind
  revision: number
  code: ErrorCode
  message: string
  attempts: number
}

interface Worker {
  running: { kind: StepKind; operation: string | null } | null
  /** Something changed while a step ran. */
  again: boolean
  retry: NodeJS.Timeout | null
}

const maxHeavySteps = 8
const firstRetryMs = 100
const lastRetryMs = 5_000

export class Workers {
  readonly #parts: AgentParts
  readonly #changed: (container: string) => void
  #workers = new Map<string, Worker>()
  #failures = new Map<string, StepFailure>()
  readonly restarts = new RestartKeeper((container) => this.poke(container))
  readonly firstBoots: FirstBootKeeper
  #heavy = 0
  #heavyQueue: (() => void)[] = []
  #stopped = false

  constructor(parts: AgentParts, changed: (container: string) => void) {
    this.#parts = parts
    this.#changed = changed
    this.firstBoots = new FirstBootKeeper(parts, changed)
  }

  failure(container: string): StepFailure | null {
    return this.#failures.get(container) ?? null
  }

  failures(): [string, StepFailure][] {
    return [...this.#failures]
  }

  /** Something about the container changed: look at it again, now. */
  poke(container: string): void {
    if (this.#stopped) return
    const worker = this.#workers.get(container)
    if (!worker) {
      this.#workers.set(container, { running: null, again: false, retry: null })
      void this.#work(container)
      return
    }
    worker.again = true
    if (worker.running) this.#cutShort(container, worker.running)
    else if (worker.retry) this.#resume(container, worker)
  }

  stop(): void {
    this.#stopped = true
    this.restarts.close()
    this.firstBoots.close()
    for (const worker of this.#workers.values()) if (worker.retry) clearTimeout(worker.retry)
  }

  #cutShort(container: string, running: { kind: StepKind; operation: string | null }): void {
    const assigned = this.#parts.store.get(container)
    this.#parts.snapshots.cancelOthers(
      container,
      (assigned?.snapshotTask ?? assigned?.exportTask ?? assigned?.origin)?.operation,
    )
    if (!isObsolete(running.kind, running.operation, this.#parts.store.get(container))) return
    if (running.operation) void this.#parts.sessions.get(running.operation)?.close()
  }

  #resume(container: string, worker: Worker): void {
    if (worker.retry) clearTimeout(worker.retry)
    worker.retry = null
    void this.#work(container)
  }

  async #work(container: string): Promise<void> {
    const worker = this.#workers.get(container) as Worker
    while (!this.#stopped && this.#parts.mirror.up) {
      worker.again = false
      const facts = this.#facts(container)
      this.#settle(facts)
      const step = nextStep(facts)
      if (!step) {
        if (this.#failures.delete(container)) this.#changed(container)
        break
      }
      const revision = facts.assignment?.revision ?? 0
      const failure = this.#failures.get(container)
      if (failure && (failure.kind !== step.kind || failure.revision !== revision)) this.#failures.delete(container)
      worker.running = { kind: step.kind, operation: facts.assignment?.migration?.operation ?? null }
      const heavy = heavySteps.has(step.kind)
      try {
        if (heavy) await this.#enterHeavy()
        await execute({ parts: this.#parts, container, assignment: facts.assignment }, step)
        if (this.#failures.get(container)?.kind === step.kind) this.#failures.delete(container)
      } catch (thrown) {
        this.#fail(container, step.kind, revision, thrown)
      } finally {
        if (heavy) this.#leaveHeavy()
        worker.running = null
      }
      this.#changed(container)
      if (step.kind === 'start' || step.kind === 'delete') this.#wakeWaiting()
      if (this.#failures.has(container) && !worker.again) {
        this.#retryLater(container, worker)
        return
      }
    }
    this.#workers.delete(container)
  }

  #facts(container: string): Facts {
    const { host, store, mirror, images, sessions } = this.#parts
    const assignment = store.get(container)
    const operation = assignment?.migration?.operation
    const session = operation ? sessions.get(operation) : (sessions.ofContainer(container).at(-1) ?? null)
    const engine = mirror.get(container)
    if (!engine) {
      this.restarts.forget(container)
      this.firstBoots.forget(container)
    }
    const ranUnder = store.ranUnder(container)
    const restart = engine && assignment ? this.restarts.look(engine, assignment, ranUnder) : null
    return {
      host,
      assignment,
      unlisted: store.isUnlisted(container),
      unconfirmed: engine !== null && wentDownWithHost(engine) && !store.isComplete,
      engine,
      session,
      switched: operation !== undefined && this.#parts.switched.has(operation),
      imageHeld: assignment !== null && images.has(assignment.spec.image),
      ranUnder,
      restartDue: restart !== null && restart.dueMs <= Date.now() && !this.#waitsForOthers(container),
      ...snapshotFacts(this.#parts, assignment, engine),
    }
  }

  /** After a boot of the host: until those before it have been started. */
  #waitsForOthers(container: string): boolean {
    const down = this.#parts.mirror.all().filter(wentDownWithHost)
    if (!down.some((each) => each.container === container)) return false
    return waitsForOthers(
      container,
      down.map((each) => ({
        container: each,
        assignment: this.#parts.store.get(each.container),
        failed: this.#failures.has(each.container),
      })),
    )
  }

  /** One of those that others wait for has been started, or can't be. */
  #wakeWaiting(): void {
    for (const each of this.#parts.mirror.all()) if (wentDownWithHost(each)) this.poke(each.container)
  }

  /** What follows from the facts without a step: it was seen running; an operation that is over holds nothing more. */
  #settle({ assignment, engine }: Facts): void {
    if (!assignment) return
    if (engine?.state === 'running' && assignment.desired === 'running' && engine.epoch === assignment.epoch) {
      this.#parts.store.noteRunning(assignment.container)
      if (assignment.role === 'owner') this.firstBoots.follow(assignment)
    }
    this.#parts.sessions.closeOthers(assignment.container, assignment.migration?.operation ?? null)
  }

  #fail(container: string, kind: StepKind, revision: number, thrown: unknown): void {
    const error = DroverError.from(thrown)
    const attempts = (this.#failures.get(container)?.attempts ?? 0) + 1
    this.#failures.set(container, { kind, revision, code: error.code, message: error.message, attempts })
    this.#parts.log.warn({ container, step: kind, attempts, code: error.code, error: error.message }, 'step failed')
  }

  #retryLater(container: string, worker: Worker): void {
    const attempts = this.#failures.get(container)?.attempts ?? 1
    const pause = Math.min(firstRetryMs * 2 ** (attempts - 1), lastRetryMs)
    worker.retry = setTimeout(() => this.#resume(container, worker), pause)
    worker.retry.unref()
  }

  #enterHeavy(): Promise<void> | undefined {
    if (this.#heavy < maxHeavySteps) {
      this.#heavy++
      return undefined
    }
    return new Promise((resolve) => this.#heavyQueue.push(resolve))
  }

  #leaveHeavy(): void {
    const next = this.#heavyQueue.shift()
    if (next) next()
    else this.#heavy--
  }
}
