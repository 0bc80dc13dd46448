// The methods of the socket protocol that answer once: name → what it does to the containers. exec and subscribe, which
// take their connection over, are the server's.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import type { EngineMethod, EngineMethods } from '@drover/engine'
import { DroverError, type EngineConfig, protocolVersion, version } from '@drover/protocol'
import type { SimulatedContainers } from './containers.ts'
import { insideTable } from './inside.ts'
import { packLayer, unpackLayer } from './packed-layer.ts'
import { setTimes, writeDetails, writeTreeIndex } from './tree-index.ts'

export const maxLogBytes = 512 << 10

export type OneAnswerMethod = Exclude<EngineMethod, 'exec' | 'subscribe'>
type Params<M extends EngineMethod> = EngineMethods[M]['params']
type Result<M extends EngineMethod> = EngineMethods[M]['result']
export type MethodTable = {
  [M in OneAnswerMethod]: (params: Params<M>) => Result<M> | Promise<Result<M>>
}

export function methodTable(containers: SimulatedContainers, config: EngineConfig): MethodTable {
  return {
    hello: (params) => hello(params, config),
    create: ({ spec }) => containers.create(spec),
    update: ({ container, epoch, ...change }) => containers.update(container, epoch, change),
    start: ({ container, epoch }) => containers.start(container, epoch),
    stop: ({ container, epoch }) => containers.stop(container, epoch),
    kill: ({ container, epoch, signal }) => containers.kill(container, epoch, signal),
    freeze: ({ container, epoch }) => containers.freeze(container, epoch),
    thaw: ({ container, epoch }) => containers.thaw(container, epoch),
    replaceDisk: ({ container, epoch, directory }) => containers.replaceDisk(container, epoch, directory),
    delete: ({ container, epoch, keep }) => containers.delete(container, epoch, keep),
    lease: ({ untilMs, containers: named }) => containers.renewLease(untilMs, named),
    list: () => ({ containers: containers.list() }),
    get: ({ container }) => containers.get(container),
    wait: (params) => wait(containers, params),
    logs: (params) => logs(containers, params),
    // A simulated container's memory is a number: nothing of it is worth sending ahead.
    // The disks of simulated containers are real directories; that they arrive whole is for others to check.
    hashTree: ({ container, changed, index, details, times = [], pack, unpack }) => {
      setTimes(containers.upper(container), times)
      if (unpack !== undefined) unpackLayer(containers.upper(container), unpack)
      const packed = pack === undefined ? {} : { packed: packLayer(containers.upper(container), pack) }
      if (index !== undefined) writeTreeIndex(containers.upper(container), index)
      if (details !== undefined) writeDetails(containers.upper(container), changed ?? [], details)
      return { hash: '0'.repeat(32), entries: 0, bytes: 0, leftBytes: 0, ...packed }
    },
    copyMemory: () => ({ file: null, bytes: 0, round: 0, leftBytes: 0, tracked: false }),
    checkpoint: ({ container, epoch, directory }) => containers.checkpoint(container, epoch, directory),
    // Its checkpoint takes no time: what was asked for before is done.
    checkpointImages: ({ container }) => {
      const complete = containers.get(container).state === 'checkpointed'
      return { complete, diskStands: complete }
    },
    prepareRestore: ({ spec, startedAtMs, starts, frozen = false }) =>
      containers.prepareRestore(spec, startedAtMs, starts, frozen),
    restore: ({ container, epoch, directory }) => containers.restore(container, epoch, directory),
    stageMemory: () => ({ staged: false }),
    ...insideTable(containers),
    release: ({ container, epoch }) => containers.release(container, epoch),
  }
}

function hello(params: Params<'hello'>, config: EngineConfig): Result<'hello'> {
  if (params.protocolVersion !== protocolVersion) {
    throw new DroverError(
      'VERSION_MISMATCH',
      `engine socket: the client speaks version ${params.protocolVersion}, this engine ${protocolVersion}`,
    )
  }
  const refused = config.criuReason.startsWith('refuse')
  return {
    version: `${version}-simulated`,
    protocolVersion,
    pid: process.pid,
    cgroup: 'v2',
    kernel: release(),
    architecture: process.arch,
    residentBytes: process.memoryUsage.rss(),
    diskLimits: true,
    packsLayers: true,
    patchesFiles: true,
    volumes: true,
    criu: refused
      ? { usable: false, path: null, version: null, reason: config.criuReason }
      : {
          usable: true,
          path: null,
          version: 'simulated',
          reason: 'simulated engine: no process, nothing that CRIU must do',
        },
  }
}

function wait(containers: SimulatedContainers, params: Params<'wait'>): Result<'wait'> | Promise<Result<'wait'>> {
  const ended = (state: string) => state === 'stopped' || state === 'created'
  const present = containers.get(params.container)
  if (ended(present.state)) return present
  return new Promise((resolve) => {
    const finish = (container: Result<'wait'>) => {
      clearTimeout(timer)
      unsubscribe()
      resolve(container)
    }
    const unsubscribe = containers.onChange((container) => {
      if (container.container === params.container && ended(container.state)) finish(container)
    })
    const timer = setTimeout(() => finish(containers.get(params.container)), Math.max(0, params.timeoutMs))
  })
}

function logs(containers: SimulatedContainers, params: Params<'logs'>): Result<'logs'> {
  if (params.limit < 1 || params.limit > maxLogBytes) {
    throw new DroverError('BAD_REQUEST', `logs: limit is ${params.limit}, must be 1 to ${maxLogBytes}`)
  }
  const file = join(containers.upper(params.container), 'var', 'log', 'console.log')
  const descriptor = openLog(file)
  if (descriptor === null) return { dataBase64: '', offset: 0, nextOffset: 0, size: 0 }
  try {
    const { size } = fstatSync(descriptor)
    const offset = Math.min(size, params.offset < 0 ? Math.max(0, size + params.offset) : params.offset)
    const data = Buffer.alloc(Math.min(params.limit, size - offset))
    const bytes = data.length === 0 ? 0 : readSync(descriptor, data, 0, data.length, offset)
    return { dataBase64: data.subarray(0, bytes).toString('base64'), offset, nextOffset: offset + bytes, size }
  } finally {
    closeSync(descriptor)
  }
}

function openLog(file: string): number | null {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
