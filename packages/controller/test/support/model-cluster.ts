// A whole cluster without clock, network or disk: the committed state, model hosts, and the planners between them. A test
// says what happens when; after every step it is checked that no container executes twice or where it has no right to.

import { type ClusterEvent, type ContainerSpec, leaseMs, type Operation } from '@drover/protocol'
import { apply, type Outcome } from '../../src/core/apply.ts'
import { assignmentsOf, completeBatch, imageTasksOf } from '../../src/core/assignments.ts'
import type { Entry } from '../../src/core/entries.ts'
import { decodeEntry, encodeEntry } from '../../src/core/entry-codec.ts'
import type { Observed, ReceivedReport } from '../../src/core/observed.ts'
import { planTick } from '../../src/core/planner.ts'
import type { Leases } from '../../src/core/planner-heal.ts'
import { type Change, type ClusterState, containerByName, emptyState } from '../../src/core/state.ts'
import { ModelHost, type ModelHostOptions, type Wire } from './model-host.ts'

/** Rounds in which something must come to rest; a cluster that still changes after so many is a livelock. */
const maxRounds = 400

export class ModelCluster {
  state: ClusterState = emptyState()
  nowMs = 1_000_000
  readonly hosts = new Map<string, ModelHost>()
  /** Hosts that neither hear nor say anything. */
  readonly cutOff = new Set<string>()
  /** Assignments to these hosts get lost; pulls still work. */
  readonly lossy = new Set<string>()
  readonly entries: Entry[] = []
  readonly events: ClusterEvent[] = []
  readonly wire: Wire = { sent: new Set() }
  /** When each host's pull was answered last. */
  readonly #answered = new Map<string, number>()
  #reports = new Map<string, ReceivedReport>()
  #sinceMs = this.nowMs
  #term = 1

  constructor(hosts: readonly Omit<ModelHostOptions, 'wire'>[]) {
    for (const options of hosts) this.hosts.set(options.name, new ModelHost({ ...options, wire: this.wire }))
    this.round()
    this.propose({
      type: 'ImageBuildStarted',
      atMs: this.nowMs,
      operation: 'op-image',
      recipe: 'busybox',
      name: 'busybox',
      host: hosts[0]!.name,
    })
    this.settle()
  }

  get observed(): Observed {
    return { reports: this.#reports, sinceMs: this.#sinceMs }
  }

  get leases(): Leases {
    return { unansweredMs: (host) => this.nowMs - Math.max(this.#sinceMs, this.#answered.get(host) ?? 0) }
  }

  propose(entry: Entry): Outcome {
    const index = this.state.index + 1
    const stored = decodeEntry(encodeEntry(entry))
    this.entries.push(stored)
    const applied = apply(this.state, index, stored)
    this.events.push(...applied.events)
    this.#push(applied.changes)
    return applied.outcome
  }

  /** Proposes, and the entry must be taken. */
  must<T = Operation>(entry: Entry): T {
    const outcome = this.propose(entry)
    if (outcome.ok) return outcome.value as T
    throw new Error(`${entry.type} was refused: ${outcome.error.error.code} ${outcome.error.error.message}`)
  }

  /** Everybody acts once, reports, and the leader plans once. True when something happened. */
  round(): boolean {
    let busy = false
    for (const [name, host] of this.hosts) {
      busy = host.act() || busy
      this.check()
      if (!this.cutOff.has(name)) this.#reports.set(name, { report: host.report(), receivedAtMs: this.nowMs })
    }
    return this.plan() > 0 || busy
  }

  /** How many entries the planners had applied. */
  plan(): number {
    const { state, observed, nowMs } = this
    const taken = planTick({ state, observed, nowMs, seed: 1, leases: this.leases }).filter(
      (entry) => this.propose(entry).ok,
    )
    this.check()
    return taken.length
  }

  settle(): void {
    for (let round = 0; round < maxRounds; round += 1) {
      this.pull()
      if (!this.round()) return
    }
    throw new Error(
      `the cluster still changes after ${maxRounds} rounds; last: ${JSON.stringify(this.entries.slice(-3))}`,
    )
  }

  /** Rounds until it is so. */
  until(what: string, check: () => boolean): void {
    for (let round = 0; round < maxRounds; round += 1) {
      if (check()) return
      this.round()
    }
    throw new Error(`never came to: ${what}`)
  }

  pass(ms: number): void {
    this.nowMs += ms
    for (const [name, host] of this.hosts) {
      host.lookAtLease(this.nowMs)
      if (!this.cutOff.has(name)) this.#reports.set(name, { report: host.report(), receivedAtMs: this.nowMs })
    }
  }

  pull(): void {
    for (const [name, host] of this.hosts) {
      if (this.cutOff.has(name)) continue
      this.#answered.set(name, this.nowMs)
      host.receive(completeBatch(this.state, name, this.#term))
      host.renewLease(this.nowMs, this.nowMs + leaseMs)
    }
  }

  /** Another controller leads: it has the committed state and has yet to hear from the hosts. */
  changeLeader(): void {
    this.#term += 1
    this.#reports = new Map()
    this.#sinceMs = this.nowMs
  }

  launch(
    name: string,
    host: string,
    operation = `launch-${name}`,
    spec: Partial<ContainerSpec> = {},
    more: { start?: boolean } = {},
  ): void {
    this.must({
      type: 'ContainerLaunched',
      atMs: this.nowMs,
      operation,
      name,
      spec: {
        image: 'sha256:1',
        imageName: 'busybox',
        requests: { cpuMilli: 100, memoryBytes: 64 << 20, diskBytes: 0, pids: 100 },
        init: ['/sbin/init'],
        environment: {},
        labels: {},
        ...spec,
      },
      host,
      placement: { chosen: host, reason: 'the test says so', hosts: [] },
      machineId: '0'.repeat(32),
      network: '10.77.0.0/16',
      gateway: null,
      ...more,
    })
  }

  move(name: string, destination: string, mode: 'live' | 'cold' = 'live', operation = `move-${name}`): Operation {
    const placement = { chosen: destination, reason: 'the test says so', hosts: [] }
    return this.must({
      type: 'MoveStarted',
      atMs: this.nowMs,
      operation,
      container: name,
      destination,
      mode,
      placement,
      parent: null,
    })
  }

  operation(id: string): Operation {
    return this.state.tables.operations.get(id)!
  }

  container(name: string) {
    return containerByName(this.state, name)!
  }

  /** Hosts on which it executes. */
  executing(name: string): string[] {
    const { id } = this.container(name)
    return [...this.hosts.values()]
      .filter((host) => host.executing().some(({ container }) => container === id))
      .map((host) => host.name)
  }

  /** Hosts that have anything of it. */
  holding(name: string): string[] {
    const { id } = this.container(name)
    return [...this.hosts.values()].filter((host) => host.containers.has(id)).map((host) => host.name)
  }

  check(): void {
    const places = new Map<string, string[]>()
    for (const host of this.hosts.values()) {
      for (const { container } of host.executing()) places.set(container, [...(places.get(container) ?? []), host.name])
    }
    for (const [container, hosts] of places) {
      if (hosts.length > 1) throw new Error(`${container} executes on ${hosts.join(' and ')}`)
    }
  }

  #push(changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.table === 'containers' && change.value) {
        for (const { host, assignment } of assignmentsOf(this.state, change.value)) this.#tell(host, [assignment])
      }
      if (change.table === 'operations' && change.value?.kind === 'image-build') {
        this.#tell(String(change.value.parameters.host), [])
      }
    }
  }

  #tell(host: string, assignments: ReturnType<typeof completeBatch>['assignments']): void {
    if (this.cutOff.has(host) || this.lossy.has(host)) return
    const { index } = this.state
    const imageTasks = imageTasksOf(this.state, host)
    this.hosts.get(host)?.receive({ term: this.#term, index, complete: false, assignments, imageTasks })
  }
}
