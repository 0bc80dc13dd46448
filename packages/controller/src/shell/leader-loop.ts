// What the leader does by itself: whenever a report comes or an entry was applied, the planners say what to propose and the
// pusher what to send. Nothing waits for a tick but what only time changes. Followers keep everything ready and do nothing.

import type { ReplicatedLog } from '@drover/raft'
import type { Logger } from 'pino'
import type { Applied, Outcome } from '../core/apply.ts'
import type { Entry } from '../core/entries.ts'
import { encodeEntry } from '../core/entry-codec.ts'
import { anyIsShort } from '../core/memory-pressures.ts'
import type { Observed } from '../core/observed.ts'
import { type PlanContext, planForHost, planOperations, planTick } from '../core/planner.ts'
import { planConsolidation } from '../core/planner-consolidate.ts'
import { planRebalance, rebalanceIntervalMs } from '../core/planner-rebalance.ts'
import { planWaiting } from '../core/planner-waiting.ts'
import { entryKey } from './entry-key.ts'
import type { LeaseTable } from './lease-table.ts'
import type { MachineHook } from './machine-hook.ts'
import type { Pusher } from './pusher.ts'
import type { ClusterStateMachine } from './state-machine.ts'

const tickMs = 250
/** The side of a decided move that nobody waits for is told after this: by then the other one has mostly let the container run. */
const restAfterMs = 10
/** How long a proposal of the loop may take; it is planned again when it fails. */
const proposalDeadlineMs = 5_000
/** What was refused is not proposed again sooner than this: the world has to change first. */
const refusedPauseMs = 250
/** Between two plans of rebalancing while containers are frozen for want of memory. */
const urgentIntervalMs = 5_000
/** Proposals of the loop under way at once; the rest is planned again when these are through. */
const maxPending = 512

export interface LeaderLoopOptions {
  machine: ClusterStateMachine
  log: ReplicatedLog
  observed: Observed
  pusher: Pusher
  now(): number
  seed(): number
  logger: Logger
  machineHook?: MachineHook
  leases?: LeaseTable
}

export class LeaderLoop {
  readonly #options: LeaderLoopOptions
  readonly #pending = new Set<string>()
  readonly #refusedUntil = new Map<string, number>()
  #stops: (() => void)[] = []
  #pushing = false
  #rest: NodeJS.Timeout | null = null
  #woken = false
  #stopped = false
  #wasLeader = false
  #rebalancedAtMs = 0

  constructor(options: LeaderLoopOptions) {
    this.#options = options
  }

  start(): void {
    const { machine, log } = this.#options
    const tick = setInterval(() => this.#tick(), tickMs)
    this.#stops = [
      () => clearInterval(tick),
      machine.onApplied((applied) => this.#applied(applied)),
      log.onStatus(() => this.#statusChanged()),
    ]
    this.#statusChanged()
  }

  stop(): void {
    this.#stopped = true
    if (this.#rest) clearTimeout(this.#rest)
    for (const stop of this.#stops) stop()
    this.#stops = []
  }

  get isLeader(): boolean {
    return this.#options.log.status().role === 'leader'
  }

  /** A host's report was taken in: plan at once, a container may be frozen until the decision. */
  reported(host: string): void {
    if (!this.isLeader) return
    this.#proposeAll(planForHost(this.#context(), host))
  }

  /** The bus is back: nobody knows what got lost. */
  busBack(): void {
    if (this.isLeader) this.#options.pusher.pushAll()
  }

  #applied(applied: Applied): void {
    if (!this.isLeader) return
    this.#options.pusher.note(applied)
    this.#wake()
  }

  /** After all that was applied in this turn. Hosts are told first: planning looks at every operation, and answers to proposals come in the same turn. */
  #wake(): void {
    if (!this.#pushing) {
      this.#pushing = true
      queueMicrotask(() => {
        this.#pushing = false
        if (this.isLeader && this.#options.pusher.push(this.#options.now())) this.#pushRestLater()
      })
    }
    if (this.#woken) return
    this.#woken = true
    setImmediate(() => {
      this.#woken = false
      if (this.isLeader && !this.#stopped) this.#proposeAll(planOperations(this.#context()))
    })
  }

  #pushRestLater(): void {
    this.#rest ??= setTimeout(() => {
      this.#rest = null
      if (this.isLeader) this.#options.pusher.pushRest(this.#options.now())
    }, restAfterMs)
  }

  #tick(): void {
    this.#options.leases?.tick()
    if (!this.isLeader) return
    const nowMs = this.#options.now()
    for (const [key, untilMs] of this.#refusedUntil) if (untilMs <= nowMs) this.#refusedUntil.delete(key)
    this.#proposeAll(planTick(this.#context()))
    this.#rebalance(nowMs)
    this.#options.machineHook?.tick(this.#options.machine.state)
    this.#options.pusher.repeat(nowMs)
  }

  /** Now and then, and soon when a host is short of memory. */
  #rebalance(nowMs: number): void {
    const { machine, observed } = this.#options
    const pressed = anyIsShort(machine.state, observed)
    const intervalMs = Math.min(rebalanceIntervalMs(machine.state), pressed ? urgentIntervalMs : Infinity)
    if (nowMs - this.#rebalancedAtMs < intervalMs) return
    this.#rebalancedAtMs = nowMs
    this.#proposeAll(planRebalance(this.#context()))
    this.#proposeAll(planConsolidation(this.#context()))
    this.#proposeAll(planWaiting(this.#context()))
  }

  #statusChanged(): void {
    const leads = this.isLeader
    if (leads && !this.#wasLeader) {
      this.#options.logger.info({ term: this.#options.log.status().term }, 'leading')
      this.#refusedUntil.clear()
      this.#options.pusher.pushAll()
      this.#wake()
    }
    if (!leads && this.#wasLeader) this.#options.logger.info('leading no more')
    if (leads !== this.#wasLeader) this.#options.leases?.listening(leads)
    this.#wasLeader = leads
  }

  #context(): PlanContext {
    const { machine, observed, now, seed, leases } = this.#options
    return { state: machine.state, observed, nowMs: now(), seed: seed(), ...(leases ? { leases } : {}) }
  }

  #proposeAll(entries: Iterable<Entry>): void {
    for (const entry of entries) this.#propose(entry)
  }

  #propose(entry: Entry): void {
    const key = entryKey(entry)
    if (this.#pending.has(key) || this.#refusedUntil.has(key) || this.#pending.size >= maxPending) return
    this.#pending.add(key)
    const { log, now, logger } = this.#options
    log.propose(encodeEntry(entry), proposalDeadlineMs).then(
      ({ result }) => {
        this.#pending.delete(key)
        const outcome = result as Outcome
        if (outcome.ok) return this.#wake()
        this.#refusedUntil.set(key, now() + refusedPauseMs)
        logger.debug({ entry: entry.type, key, ...outcome.error.error }, 'refused')
      },
      (error) => {
        this.#pending.delete(key)
        this.#refusedUntil.set(key, now() + refusedPauseMs)
        logger.warn({ entry: entry.type, key, code: error.code }, `propose: ${error.message}`)
      },
    )
  }
}
