// A host as a model: takes assignments, does at once what an agent and its engine would do, and reports. No clock, no
// network: tests drive it, so that any interleaving and any failure can be had. It checks itself that it never lets a
// container run without the right to.

import type {
  Assignment,
  AssignmentBatch,
  HostReport,
  ImageTaskResult,
  Limits,
  MigrationStep,
  ObservedContainer,
  Resources,
  SnapshotResult,
} from '@drover/protocol'

/** What hosts share: memory images under way, by operation. */
export interface Wire {
  sent: Set<string>
  /** A pre-copy lasts: hosts that need not be told to begin one do say that they have. */
  slow?: boolean
}

export type FailurePoint = `${'source' | 'destination'} ${string}`

export interface ModelHostOptions {
  name: string
  cluster?: string
  wire: Wire
  capacity?: Resources
  /** What its kernel and processor have beside the usual. */
  features?: Partial<HostReport['features']>
  images?: string[]
  address?: string
  migratable?: boolean
  /** Higher limits of CPU are refused by its kernel. */
  mostCpuMilli?: number
}

export class ModelHost {
  readonly name: string
  readonly containers = new Map<string, ObservedContainer>()
  readonly steps = new Map<string, MigrationStep>()
  readonly imageTasks = new Map<string, ImageTaskResult>()
  /** Limits in force, by container. */
  readonly limits = new Map<string, Limits>()
  /** Where a side fails, e.g. `source switching`; with `destination committed` it lets nothing run that has arrived. */
  readonly failures = new Set<FailurePoint>()
  /** What came of snapshots, restores and copies. */
  readonly snapshotResults = new Map<string, SnapshotResult>()
  /** It takes its time for these. */
  mute: 'snapshots' | 'restores' | null = null
  images: string[]
  engineUp = true
  session = 1
  grpcPort = 1
  /** Frozen because the lease was over. */
  readonly fenced = new Set<string>()
  #leaseUntilMs = 0
  #assignments = new Map<string, Assignment>()
  #sequence = 0
  #term = 0
  readonly #options: ModelHostOptions

  constructor(options: ModelHostOptions) {
    this.name = options.name
    this.images = options.images ?? ['sha256:1']
    this.#options = options
  }

  receive(batch: AssignmentBatch): void {
    if (batch.term < this.#term) return
    this.#term = batch.term
    for (const assignment of batch.assignments) {
      const known = this.#assignments.get(assignment.container)
      if (!known || assignment.revision >= known.revision) this.#assignments.set(assignment.container, assignment)
    }
    for (const { operation, name } of batch.imageTasks) {
      if (this.imageTasks.has(operation)) continue
      const image = { digest: 'sha256:1', name, sizeBytes: 1000, init: ['/sbin/init'] }
      this.imageTasks.set(operation, { operation, state: 'done', message: 'built', image, error: null })
    }
    if (!batch.complete) return
    const listed = new Set(batch.assignments.map(({ container }) => container))
    for (const id of [...this.containers.keys(), ...this.#assignments.keys()]) {
      if (!listed.has(id)) this.#forget(id)
    }
  }

  /** As its engine does: what the lease names goes on, what needs one and has none stands still. */
  renewLease(nowMs: number, untilMs: number): void {
    this.#leaseUntilMs = untilMs
    for (const [id, container] of this.containers) {
      if (!this.fenced.delete(id) || !this.#assignments.has(id)) continue
      this.containers.set(id, { ...container, state: 'running' })
    }
    this.lookAtLease(nowMs)
  }

  lookAtLease(nowMs: number): void {
    if (nowMs < this.#leaseUntilMs) return
    for (const [id, container] of this.containers) {
      if (!container.leased || container.state !== 'running') continue
      this.fenced.add(id)
      this.containers.set(id, { ...container, state: 'frozen' })
    }
  }

  /** Does what can be done now; true when something changed. */
  act(): boolean {
    const before = this.#picture()
    for (const assignment of this.#assignments.values()) this.#follow(assignment)
    return this.#picture() !== before
  }

  /** A new life of the agent: what it was in the middle of has failed, but a restored container is still there. */
  restartAgent(): void {
    this.session += 1
    this.#sequence = 0
    for (const [operation, step] of this.steps) {
      if (['restored', 'released', 'cleaned'].includes(step.step)) continue
      const error = { code: 'TRANSFER_FAILED', message: 'the agent was restarted' }
      this.steps.set(operation, { ...step, step: 'failed', error })
    }
  }

  /** The init of a container ends. */
  end(id: string): void {
    const container = this.containers.get(id)!
    this.containers.set(id, { ...container, state: 'stopped', initPid: null })
  }

  report(): HostReport {
    this.#sequence += 1
    const { cluster = 'test', capacity, address = '127.0.0.1', migratable = true } = this.#options
    return {
      cluster,
      host: this.name,
      session: this.session,
      sequence: this.#sequence,
      address,
      grpcPort: this.grpcPort,
      streamPort: 2,
      capacity: capacity ?? { cpuMilli: 8000, memoryBytes: 8 * 2 ** 30, diskBytes: 2 ** 40, pids: 100_000 },
      used: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
      features: {
        engine: 'simulated',
        kernel: '6.1',
        architecture: 'x64',
        cgroup: 'v2',
        criu: { usable: migratable, path: null, version: null, reason: migratable ? 'simulated' : 'none passes' },
        ...this.#options.features,
      },
      images: [...this.images],
      engineUp: this.engineUp,
      containers: [...this.containers.values()],
      migrations: [...this.steps.values()],
      imageTasks: [...this.imageTasks.values()],
      snapshots: [...this.snapshotResults.values()],
    }
  }

  /** Containers whose processes execute here now. */
  executing(): ObservedContainer[] {
    return [...this.containers.values()].filter(({ state }) => state === 'running')
  }

  #follow(assignment: Assignment): void {
    if (assignment.role === 'none') this.#forget(assignment.container)
    else if (assignment.role === 'owner') this.#own(assignment)
    else this.#migrate(assignment)
  }

  #own(assignment: Assignment): void {
    const { container: id, desired, epoch, revision, snapshotTask, exportTask, origin } = assignment
    for (const [operation, step] of this.steps) if (step.container === id) this.steps.delete(operation)
    if (this.fenced.has(id)) return
    const known = this.containers.get(id)
    const now = known && known.epoch < (assignment.diskEpoch ?? 0) ? undefined : known
    if (now?.revision === revision && now.epoch === epoch) return
    const operation = (snapshotTask ?? exportTask ?? origin)?.operation
    if (operation !== undefined && this.mute !== 'snapshots')
      this.snapshotResults.set(operation, this.#snapshot(operation))
    if (operation !== undefined && this.snapshotResults.get(operation)?.state !== 'done') {
      this.containers.set(id, { ...(now ?? absent(id)), epoch, revision })
      return
    }
    if (snapshotTask?.kind === 'create' || exportTask) {
      this.containers.set(id, { ...now!, revision })
      return
    }
    const base = now ?? absent(id)
    const starting = desired === 'running' && (base.state === 'created' || base.state === 'stopped')
    this.containers.set(id, {
      ...base,
      epoch,
      revision,
      state: desired,
      ...this.#configure(assignment),
      starts: base.starts + (starting ? 1 : 0),
      startedAtMs: starting ? 1000 : base.startedAtMs,
      initPid: desired === 'stopped' ? null : 100,
    })
  }

  /** Takes limits over, as far as its kernel does. */
  #configure({ container, spec }: Assignment): Partial<ObservedContainer> {
    const refuses = (spec.limits?.cpuMilli ?? 0) > (this.#options.mostCpuMilli ?? Number.MAX_SAFE_INTEGER)
    if (!refuses) this.limits.set(container, spec.limits ?? {})
    const error = { message: 'set cpu: the kernel refuses it', errorCode: 'ENGINE_FAILED' }
    const leased = spec.scheduling?.heal === 'fresh' ? { leased: true } : {}
    return { ...leased, configured: !refuses, ...(refuses ? error : { message: null, errorCode: null }) }
  }

  #snapshot(operation: string): SnapshotResult {
    const error = this.failures.has('source snapshot') ? { code: 'ENGINE_FAILED', message: 'the disk is full' } : null
    const state = error ? 'failed' : 'done'
    return { operation, state, sizeBytes: 4096, figures: { paused_ms: 2 }, error }
  }

  #migrate(assignment: Assignment): void {
    const { container: id, role, migration } = assignment
    const side = role as 'source' | 'destination'
    const { operation, phase } = migration!
    const step = this.steps.get(operation)
    const fail = this.failures.has(`${side} ${phase}`)
    const say = (to: MigrationStep['step']) => {
      const error = to === 'failed' ? { code: 'CHECKPOINT_FAILED', message: `${side} ${phase} failed` } : null
      this.steps.set(operation, { operation, container: id, side, step: to, error, figures: { [`${side}_ms`]: 1 } })
    }
    if (step?.step === 'failed' && ['preparing', 'precopying', 'switching'].includes(phase)) return
    if (fail && phase !== 'committed' && phase !== 'aborted') say('failed')
    else if (phase === 'preparing') say(this.#precopiesAtOnce(migration!) ? 'precopied' : 'prepared')
    else if (phase === 'precopying') say('precopied')
    else if (side === 'source') this.#source(assignment, say)
    else this.#destination(assignment, say)
  }

  #precopiesAtOnce({ precopiesAtOnce = false }: NonNullable<Assignment['migration']>): boolean {
    return precopiesAtOnce && !this.#options.wire.slow
  }

  #source(assignment: Assignment, say: (step: MigrationStep['step']) => void): void {
    const { container: id, revision, migration, desired } = assignment
    const { phase, operation, mode } = migration!
    const container = this.containers.get(id)
    if (phase === 'switching' && container && !this.#options.wire.sent.has(operation)) {
      this.containers.set(id, { ...container, revision, state: mode === 'cold' ? 'stopped' : 'checkpointed' })
      this.#options.wire.sent.add(operation)
      say('switched')
    }
    if (phase === 'committed' || phase === 'cleaning') {
      this.containers.delete(id)
      say('cleaned')
    }
    if (phase === 'aborted' && container) {
      this.containers.set(id, { ...container, revision, state: desired === 'frozen' ? 'frozen' : desired })
      say('cleaned')
    }
  }

  #destination(assignment: Assignment, say: (step: MigrationStep['step']) => void): void {
    const { container: id, epoch, revision, migration, desired } = assignment
    const { phase, operation, mode } = migration!
    const step = this.steps.get(operation)?.step
    const comes = phase === 'switching' && this.#options.wire.sent.has(operation) && step !== 'restored'
    if (comes && this.mute !== 'restores') {
      const state = mode === 'cold' ? 'created' : 'restored'
      const starts = mode === 'cold' ? 0 : 1
      this.containers.set(id, { ...absent(id), epoch, revision, state, starts, startedAtMs: 1000 })
      say('restored')
    }
    const container = this.containers.get(id)
    const stuck = this.failures.has('destination committed')
    if ((phase === 'committed' || phase === 'cleaning') && container && step === 'restored' && !stuck) {
      this.containers.set(id, { ...container, revision, state: desired, initPid: 200 })
      say('released')
    }
    if (phase === 'aborted') {
      this.containers.delete(id)
      say('cleaned')
    }
  }

  #forget(id: string): void {
    this.fenced.delete(id)
    this.containers.delete(id)
    this.#assignments.delete(id)
    for (const [operation, step] of this.steps) if (step.container === id) this.steps.delete(operation)
  }

  #picture(): string {
    return JSON.stringify([[...this.containers.values()], [...this.steps.values()]])
  }
}

const absent = (container: string): ObservedContainer => ({
  container,
  epoch: 0,
  state: 'created',
  revision: 0,
  initPid: null,
  startedAtMs: null,
  starts: 0,
  message: null,
  errorCode: null,
  memoryBytes: 0,
  cpuUsec: 0,
})
