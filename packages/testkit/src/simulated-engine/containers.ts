// The containers of a simulated engine and what each method does to them: the same states, idempotence and refusals as the
// native engine, without a process. Time comes in as an argument, so tests can hold the clock.

import { existsSync, renameSync } from 'node:fs'
import type { EngineContainer, EngineFigures, EngineSpec, EngineState } from '@drover/engine'
import { DroverError } from '@drover/protocol'
import { currentBootId } from './boot-id.ts'
import { readImages, writeImages } from './checkpoint-images.ts'
import { Lease } from './lease.ts'
import { freezePulse, pulseAt, startPulse, thawPulse } from './pulse.ts'
import { type ContainerRecord, newRecord, RecordStore } from './record.ts'
import { hasProcesses, refuseDevices, refuseSecurity, refuseSysctls } from './refusals.ts'

/** What a simulated container is said to use. */
const simulatedMemoryBytes = 1 << 20
const simulatedProcesses = 5

const signalNumbers = { kill: 9, usr2: 12, term: 15 } as const

export interface Clock {
  nowMs(): number
}

type Listener = (container: EngineContainer) => void
type WithFigures = { figures: EngineFigures; container: EngineContainer }

export class SimulatedContainers {
  readonly #store: RecordStore
  readonly #clock: Clock
  readonly #records = new Map<string, ContainerRecord>()
  readonly #listeners = new Set<Listener>()
  readonly #bootId: string
  #nextPid: number
  readonly #lease: Lease

  constructor(stateDirectory: string, clock: Clock = { nowMs: Date.now }, bootId = currentBootId()) {
    this.#bootId = bootId
    this.#store = new RecordStore(stateDirectory)
    this.#clock = clock
    for (const record of this.#store.load()) this.#records.set(record.spec.container, this.#adopt(record))
    this.#lease = new Lease(stateDirectory, bootId, () => this.#fence())
    this.#nextPid = Math.max(100_000, ...[...this.#records.values()].map((record) => record.initPid ?? 0)) + 1
  }

  /** Called after every change; returns the unsubscriber. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  list(): EngineContainer[] {
    return [...this.#records.values()].map((record) => this.#view(record))
  }

  get(container: string): EngineContainer {
    return this.#view(this.#require(container))
  }

  upper(container: string): string {
    return this.#store.upper(this.#require(container).spec.container)
  }

  spec(container: string): EngineSpec {
    return this.#require(container).spec
  }

  pulse(container: string): number {
    return pulseAt(this.#require(container).memory, this.#clock.nowMs())
  }

  create(spec: EngineSpec): EngineContainer {
    const present = this.#records.get(spec.container)
    if (present) return this.#view(this.#atEpoch(present, spec.epoch))
    if (!existsSync(spec.rootfs)) {
      throw new DroverError('ENGINE_FAILED', `create ${spec.name}: root file system ${spec.rootfs} is missing`)
    }
    return this.#save(newRecord(spec))
  }

  update(
    container: string,
    epoch: number,
    {
      name = null,
      ...change
    }: Pick<EngineSpec, 'limits' | 'devices' | 'security' | 'sysctls' | 'rlimits'> & { name?: string | null },
  ): EngineContainer {
    const record = this.#command(container, epoch)
    this.#expect('update', record, ['created', 'running', 'frozen', 'stopped'])
    refuseDevices(change.devices)
    refuseSecurity(record, change.security)
    refuseSysctls(change.sysctls)
    const { limits } = change
    const { limits: before } = record.spec
    const more = limits.memoryBytes === 0 || limits.memoryBytes > before.memoryBytes
    record.spec = { ...record.spec, ...change, name: name ?? record.spec.name }
    if (record.memory.frozenAtLimit && (more || limits.memoryPolicy !== 'freeze')) {
      record.memory.frozenAtLimit = false
      this.#goOn(record)
      return this.hold(container, record.memory.heldBytes ?? 0)
    }
    return this.#save(record)
  }

  start(container: string, epoch: number): EngineContainer {
    const record = this.#command(container, epoch)
    if (record.state === 'running') return this.#view(record)
    this.#expect('start', record, ['created', 'stopped'])
    this.#lease.check('start', record)
    this.#boot(record)
    return this.#save(record)
  }

  stop(container: string, epoch: number): EngineContainer {
    const record = this.#command(container, epoch)
    if (!hasProcesses.has(record.state)) return this.#view(record)
    this.#expect('stop', record, ['running', 'frozen'])
    const reason = record.state === 'frozen' ? 'killed' : 'poweroff'
    return this.end(container, reason)
  }

  /** A program in it holds so much memory; over the limit the policy decides. */
  hold(container: string, heldBytes: number): EngineContainer {
    const record = this.#require(container)
    this.#expect('hold memory in', record, ['running'])
    record.memory.heldBytes = heldBytes
    const { memoryBytes: limit, memoryPolicy } = record.spec.limits
    if (limit === 0 || simulatedMemoryBytes + heldBytes <= limit) return this.#save(record)
    if (memoryPolicy === 'freeze') {
      record.memory.frozenAtLimit = true
      return this.#halt(record, 'frozen')
    }
    record.memory.heldBytes = 0
    record.memory.oomKills = (record.memory.oomKills ?? 0) + 1
    return this.#save(record)
  }

  /** SIGKILL ends init, SIGUSR2 powers off and SIGTERM reboots as busybox's init does; others it ignores. */
  kill(container: string, epoch: number, signal: number): EngineContainer {
    const record = this.#command(container, epoch)
    if (!hasProcesses.has(record.state)) return this.#view(record)
    if (signal === signalNumbers.kill) return this.end(container, 'killed')
    if (record.state === 'running' && signal === signalNumbers.usr2) return this.end(container, 'poweroff')
    if (record.state === 'running' && signal === signalNumbers.term) return this.end(container, 'reboot')
    return this.#view(record)
  }

  /** Init ends, by itself or not; after a reboot it is started again. */
  end(container: string, reason: 'poweroff' | 'reboot' | 'exit' | 'killed', status = 0): EngineContainer {
    const record = this.#require(container)
    record.exit = { reason, status: reason === 'killed' ? signalNumbers.kill : status }
    record.state = 'stopped'
    record.initPid = null
    record.memory = { pulseBase: 0, pulseSinceMs: null }
    if (reason === 'reboot') this.#boot(record)
    return this.#save(record)
  }

  freeze(container: string, epoch: number): EngineContainer {
    const record = this.#command(container, epoch)
    if (record.state === 'frozen') return this.#view(record)
    this.#expect('freeze', record, ['running'])
    return this.#halt(record, 'frozen')
  }

  thaw(container: string, epoch: number): EngineContainer {
    const record = this.#command(container, epoch)
    if (record.state === 'running') return this.#view(record)
    this.#expect('thaw', record, ['frozen', 'checkpointed'])
    this.#lease.check('thaw', record)
    if (record.state === 'checkpointed' && record.standsStill) return this.#save({ ...record, state: 'frozen' })
    return this.#goOn(record)
  }

  /** As the native engine's lease: see its lease.h. */
  renewLease(untilMs: number, named: Record<string, number>): null {
    this.#lease.renew(untilMs, named)
    for (const record of this.#records.values()) {
      if (!record.fenced || !this.#lease.holds(record)) continue
      record.fenced = false
      if (record.state === 'frozen') this.#goOn(record)
      else this.#save(record)
    }
    return null
  }

  /** Ends the timer. */
  close(): void {
    this.#lease.close()
  }

  #fence(): void {
    for (const record of this.#records.values()) {
      if (record.state !== 'running' || this.#lease.holds(record)) continue
      record.fenced = true
      this.#halt(record, 'frozen')
    }
  }

  /** Owners are left as they are: a simulated container has none of its own. */
  replaceDisk(container: string, epoch: number, directory: string): EngineContainer {
    const record = this.#command(container, epoch)
    this.#expect('replace the disk of', record, ['created', 'stopped'])
    this.#store.replaceUpper(container, directory)
    return this.#save(record)
  }

  delete(container: string, epoch: number, keep?: string): null {
    const record = this.#records.get(container)
    if (!record) return null
    this.#atEpoch(record, epoch)
    this.#records.delete(container)
    if (keep !== undefined) renameSync(this.#store.upper(container), keep)
    this.#store.remove(container)
    this.#announce({ ...this.#view(record), state: 'stopped', initPid: null })
    return null
  }

  checkpoint(container: string, epoch: number, directory: string): WithFigures {
    const record = this.#command(container, epoch)
    if (record.state === 'checkpointed') return this.#withFigures(record, 'checkpoint')
    this.#expect('checkpoint', record, ['running', 'frozen'])
    record.standsStill = record.state === 'frozen'
    const frozenAtMs = this.#clock.nowMs()
    this.#halt(record, 'checkpointed')
    writeImages(directory, { container, memory: record.memory })
    record.figures.checkpoint = {
      freeze_ms: 0,
      dump_ms: this.#clock.nowMs() - frozenAtMs,
      frozenAtNs: frozenAtMs * 1e6,
    }
    this.#save(record)
    return this.#withFigures(record, 'checkpoint')
  }

  prepareRestore(spec: EngineSpec, startedAtMs: number | null, starts: number, frozen = false): EngineContainer {
    const present = this.#records.get(spec.container)
    if (present) {
      const record = this.#atEpoch(present, spec.epoch)
      if (record.state === 'restored') return this.#view(record)
      this.#expect('prepare the restore of', record, ['created', 'stopped'])
      return this.#save({ ...record, state: 'created', startedAtMs, starts, prepared: true, standsStill: frozen })
    }
    if (!existsSync(spec.rootfs)) {
      throw new DroverError('ENGINE_FAILED', `prepare ${spec.name}: root file system ${spec.rootfs} is missing`)
    }
    return this.#save({ ...newRecord(spec), startedAtMs, starts, prepared: true, standsStill: frozen })
  }

  restore(container: string, epoch: number, directory: string): WithFigures {
    const record = this.#command(container, epoch)
    if (record.state === 'restored') return this.#withFigures(record, 'restore')
    this.#expect('restore', record, ['created'])
    if (!record.prepared)
      throw new DroverError('WRONG_STATE', `restore ${container}: it was not prepared for a restore`)
    const began = this.#clock.nowMs()
    record.memory = readImages(directory, container).memory
    record.initPid = this.#nextPid++
    record.bootId = this.#bootId
    record.state = 'restored'
    record.prepared = false
    record.figures.restore = { restore_ms: this.#clock.nowMs() - began }
    this.#save(record)
    return this.#withFigures(record, 'restore')
  }

  release(container: string, epoch: number): WithFigures {
    const record = this.#command(container, epoch)
    if ((record.state === 'running' || record.state === 'frozen') && record.figures.release)
      return this.#withFigures(record, 'release')
    this.#expect('release', record, ['restored'])
    this.#lease.check('release', record)
    record.figures.release = { release_ms: 0, resumedAtNs: this.#clock.nowMs() * 1e6 }
    if (record.standsStill) this.#save({ ...record, state: 'frozen' })
    else this.#goOn(record)
    return this.#withFigures(record, 'release')
  }

  /** What ran before the host booted has gone down with it. */
  #adopt(record: ContainerRecord): ContainerRecord {
    if (!hasProcesses.has(record.state) || record.bootId === undefined || record.bootId === this.#bootId) return record
    const down = { ...record, state: 'stopped', initPid: null, exit: { reason: 'host', status: 0 } } as const
    const adopted = { ...down, memory: { pulseBase: 0, pulseSinceMs: null } }
    this.#store.save(adopted)
    return adopted
  }

  #boot(record: ContainerRecord): void {
    record.bootId = this.#bootId
    const nowMs = this.#clock.nowMs()
    record.state = 'running'
    record.initPid = this.#nextPid++
    record.startedAtMs = nowMs
    record.starts++
    record.memory = startPulse(nowMs)
    record.figures = {}
    record.prepared = false
    this.#store.log(record.spec.container, `init started (${record.spec.init.join(' ')})\n`)
  }

  #halt(record: ContainerRecord, state: 'frozen' | 'checkpointed'): EngineContainer {
    record.memory = freezePulse(record.memory, this.#clock.nowMs())
    record.state = state
    return this.#save(record)
  }

  #goOn(record: ContainerRecord): EngineContainer {
    record.memory = thawPulse(record.memory, this.#clock.nowMs())
    record.state = 'running'
    return this.#save(record)
  }

  #command(container: string, epoch: number): ContainerRecord {
    return this.#atEpoch(this.#require(container), epoch)
  }

  #require(container: string): ContainerRecord {
    const record = this.#records.get(container)
    if (!record) throw new DroverError('CONTAINER_NOT_FOUND', `${container}: no such container on this host`)
    return record
  }

  /** Refuses an older epoch and takes note of a newer one. */
  #atEpoch(record: ContainerRecord, epoch: number): ContainerRecord {
    const { container } = record.spec
    if (epoch < record.epoch) {
      throw new DroverError('STALE_EPOCH', `${container}: epoch ${epoch} is older than the recorded ${record.epoch}`, {
        context: { container, epoch, recorded: record.epoch },
      })
    }
    if (epoch > record.epoch) {
      record.epoch = epoch
      record.spec = { ...record.spec, epoch }
      this.#save(record)
    }
    return record
  }

  #expect(verb: string, record: ContainerRecord, states: readonly EngineState[]): void {
    if (states.includes(record.state)) return
    const { container } = record.spec
    throw new DroverError('WRONG_STATE', `${verb} ${container}: it is ${record.state}, not ${states.join(' or ')}`, {
      context: { container, state: record.state },
    })
  }

  #save(record: ContainerRecord): EngineContainer {
    this.#records.set(record.spec.container, record)
    this.#store.save(record)
    const view = this.#view(record)
    this.#announce(view)
    return view
  }

  #announce(view: EngineContainer): void {
    for (const listener of this.#listeners) listener(view)
  }

  #withFigures(record: ContainerRecord, method: string): WithFigures {
    return { figures: record.figures[method] ?? {}, container: this.#view(record) }
  }

  #view(record: ContainerRecord): EngineContainer {
    const alive = hasProcesses.has(record.state)
    const { heldBytes = 0, oomKills = 0, frozenAtLimit = false } = record.memory
    const used = simulatedMemoryBytes + heldBytes
    const limit = record.spec.limits.memoryBytes
    return {
      container: record.spec.container,
      name: record.spec.name,
      epoch: record.epoch,
      state: record.state,
      initPid: record.initPid,
      startedAtMs: record.startedAtMs,
      starts: record.starts,
      exit: record.exit,
      upper: this.#store.upper(record.spec.container),
      memoryBytes: alive ? used : 0,
      // A tick of the pulse is said to cost ten microseconds.
      cpuUsec: alive ? pulseAt(record.memory, this.#clock.nowMs()) * 10 : 0,
      processes: alive ? simulatedProcesses : 0,
      limits: record.spec.limits,
      memory: {
        nearLimit: alive && limit > 0 && used >= limit * 0.9,
        frozenAtLimit: alive && frozenAtLimit,
        oomKills,
        killed: oomKills > 0 ? 'hog' : null,
      },
      devices: record.spec.devices ?? {},
      ...(record.spec.security === undefined ? {} : { security: record.spec.security }),
      sysctls: record.spec.sysctls ?? {},
      rlimits: record.spec.rlimits ?? {},
      leased: this.#lease.names(record),
      fenced: alive && record.fenced === true,
    }
  }
}
