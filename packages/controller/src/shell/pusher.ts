// Sends assignments: those that an entry changed at once, everything to everybody when we become leader or the bus is back,
// and again what a host under an operation doesn't seem to have heard. What still gets lost, the agents' pulls repair.

import type { Assignment, AssignmentBatch } from '@drover/protocol'
import type { Applied } from '../core/apply.ts'
import {
  assignmentsOf,
  completeBatch,
  type HostAssignment,
  imageTasksOf,
  makesImages,
  neverMade,
} from '../core/assignments.ts'
import { type Observed, observedContainer } from '../core/observed.ts'
import { type ClusterState, runningOperations } from '../core/state.ts'

/** A host under an operation that has not taken up its assignment for this long is told again. */
const repeatAfterMs = 1_000

export interface PusherOptions {
  state(): ClusterState
  observed: Observed
  term(): number
  publish(host: string, batch: AssignmentBatch): void
  warn(host: string, container: string): void
}

/** Phases in which hosts do as in the one before: they hear of them with the next, or by a pull. */
const asksNothing = ({ migration }: Assignment): boolean =>
  migration?.phase === 'planned' || migration?.phase === 'cleaning'

/**
 * The side of a decided move for which nobody stands still: what it does, to clear away, can wait until the container runs, and takes the
 * processor from nobody on whose account it does.
 */
const canWait = ({ host, assignment: { migration } }: HostAssignment): boolean =>
  (migration?.phase === 'committed' && host === migration.source.host) ||
  (migration?.phase === 'aborted' && host === migration.destination.host)

interface Pushed {
  revision: number
  atMs: number
}

export class Pusher {
  readonly #options: PusherOptions
  #dirtyContainers = new Set<string>()
  /** Whose other side has yet to be told. */
  #halfTold = new Set<string>()
  #dirtyHosts = new Set<string>()
  /** What was sent last, by container and host. */
  #pushed = new Map<string, Map<string, Pushed>>()

  constructor(options: PusherOptions) {
    this.#options = options
  }

  /** Remembers what an entry touched; push() sends it. */
  note(applied: Applied): void {
    for (const change of applied.changes) {
      if (change.table === 'containers') {
        if (change.value) this.#dirtyContainers.add(change.key)
        else this.#pushed.delete(change.key)
      }
      if (change.table === 'operations' && change.value && makesImages(change.value.kind)) {
        const { createdAtMs, updatedAtMs, parameters } = change.value
        if (createdAtMs === updatedAtMs) this.#dirtyHosts.add(String(parameters.host))
      }
    }
  }

  /** What somebody waits for; whether there is more for pushRest(). */
  push(nowMs: number): boolean {
    if (this.#dirtyContainers.size === 0 && this.#dirtyHosts.size === 0) return false
    const fresh = this.#freshOf(this.#dirtyContainers)
    this.#dirtyContainers.clear()
    for (const each of fresh) if (canWait(each)) this.#halfTold.add(each.assignment.container)
    const awaited = fresh.filter((each) => !canWait(each))
    this.#send(awaited, this.#dirtyHosts, nowMs)
    this.#dirtyHosts.clear()
    return awaited.length < fresh.length
  }

  pushRest(nowMs: number): void {
    const fresh = this.#freshOf(this.#halfTold)
    this.#halfTold.clear()
    this.#send(fresh, new Set(), nowMs)
  }

  /** What their hosts have not been told yet. */
  #freshOf(containers: ReadonlySet<string>): HostAssignment[] {
    const { tables } = this.#options.state()
    const fresh: HostAssignment[] = []
    for (const id of containers) {
      const container = tables.containers.get(id)
      if (!container) continue
      for (const each of assignmentsOf(this.#options.state(), container)) {
        if (asksNothing(each.assignment)) continue
        const last = this.#pushed.get(id)?.get(each.host)
        if (!last || last.revision < each.assignment.revision) fresh.push(each)
      }
    }
    return fresh
  }

  /** Everything to everybody. */
  pushAll(): void {
    this.#pushed.clear()
    this.#halfTold.clear()
    this.#dirtyContainers.clear()
    this.#dirtyHosts.clear()
    for (const host of this.#options.state().tables.hosts.keys()) {
      const batch = this.completeBatch(host)
      if (batch) this.#options.publish(host, batch)
    }
  }

  /** null when the host holds containers that this cluster's state never made: then nothing may be removed there. */
  completeBatch(host: string): AssignmentBatch | null {
    const state = this.#options.state()
    const report = this.#options.observed.reports.get(host)?.report
    for (const { container } of report?.containers ?? []) {
      if (!neverMade(state, container)) continue
      this.#options.warn(host, container)
      return null
    }
    return completeBatch(state, host, this.#options.term(), report)
  }

  /** What hosts under an operation should have taken up by now. */
  repeat(nowMs: number): void {
    const state = this.#options.state()
    const missed: HostAssignment[] = []
    for (const operation of runningOperations(state)) {
      const container = state.tables.containers.get(String(operation.parameters.container ?? ''))
      if (container?.operation !== operation.id) continue
      for (const each of assignmentsOf(state, container)) {
        const seen = observedContainer(this.#options.observed, each.host, container.id)
        const last = this.#pushed.get(container.id)?.get(each.host)
        const { revision } = (asksNothing(each.assignment) && last) || each.assignment
        const heard = seen !== undefined && seen.revision >= revision
        if (!heard && nowMs - (last?.atMs ?? 0) >= repeatAfterMs) missed.push(each)
      }
    }
    this.#send(missed, new Set(), nowMs)
  }

  #send(assignments: readonly HostAssignment[], hosts: ReadonlySet<string>, nowMs: number): void {
    const byHost = new Map<string, AssignmentBatch>()
    const batchFor = (host: string): AssignmentBatch => {
      const state = this.#options.state()
      const known = byHost.get(host)
      if (known) return known
      const imageTasks = imageTasksOf(state, host)
      const batch = { term: this.#options.term(), index: state.index, complete: false, assignments: [], imageTasks }
      byHost.set(host, batch)
      return batch
    }
    for (const { host, assignment } of assignments) {
      batchFor(host).assignments.push(assignment)
      const pushed = this.#pushed.get(assignment.container) ?? new Map<string, Pushed>()
      this.#pushed.set(assignment.container, pushed.set(host, { revision: assignment.revision, atMs: nowMs }))
    }
    for (const host of hosts) batchFor(host)
    for (const [host, batch] of byHost) this.#options.publish(host, batch)
  }
}
