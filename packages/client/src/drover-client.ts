// The API as methods, one per path of protocol/api.ts. Reads give resources; writes give the Operation that carries them out
// (see waitOperation). Each write draws one Idempotency-Key that all its retries share.

import { randomUUID } from 'node:crypto'
import type {
  ClientConfig,
  ClusterEvent,
  ClusterStatus,
  Container,
  ContainerExplanation,
  ContainerImportRequest,
  CopyRequest,
  EvacuateRequest,
  EvacuationPlanRequest,
  EvacuationPlanView,
  ExecRequest,
  ExplainRequest,
  ExportRequest,
  HostLostRequest,
  HostSetRequest,
  HostToken,
  HostTokenMade,
  HostTokenRequest,
  HostView,
  Image,
  ImageBuildRequest,
  ImageImportRequest,
  ImageSetRequest,
  InsideMethod,
  InsideParams,
  InsideResult,
  LaunchExplanation,
  LaunchOutcome,
  LaunchRequest,
  MoveRequest,
  Operation,
  PolicyChange,
  Preflight,
  Profile,
  ProfileRequest,
  PublishRequest,
  RebalancePlanView,
  RebalanceRecord,
  RebalanceStatus,
  RebuildRequest,
  RenameRequest,
  RestoreRequest,
  SchedulingPolicy,
  SetRequest,
  Snapshot,
  SnapshotRequest,
  SnapshotRestoreRequest,
  StopRequest,
  VolumeRequest,
  VolumeView,
} from '@drover/protocol'
import { DroverError, paths } from '@drover/protocol/plain'
import { readBulk, sendBulk } from './bulk-transfer.ts'
import { type EventOptions, eventStream } from './event-stream.ts'
import type { ExecSession, ExecStreams } from './exec-session.ts'
import { type CallOptions, Transport } from './transport.ts'
import { type WaitOptions, waitOperation } from './wait-operation.ts'

export interface DroverClientOptions extends ClientConfig {}

/** Bounds of one call; a key only where the caller has one from before, e.g. written down before a crash. */
export type ReadOptions = Pick<CallOptions, 'deadlineMs' | 'signal'>
export type WriteOptions = Pick<CallOptions, 'deadlineMs' | 'signal' | 'idempotencyKey'>

/** A container may be silent for as long as it likes; the connection is kept alive by TCP. */
const logsIdleTimeoutMs = 2_147_483_647

export class DroverClient {
  readonly #transport: Transport

  constructor(options: DroverClientOptions) {
    this.#transport = new Transport(options)
  }

  status = (options?: ReadOptions) => this.#read<ClusterStatus>(paths.status, options)

  hosts = (options?: ReadOptions) => this.#read<HostView[]>(paths.hosts, options)
  host = async (name: string, options?: ReadOptions) => this.#read<HostView>(paths.host(segment(name)), options)
  evacuate = async (name: string, request: EvacuateRequest = {}, options?: WriteOptions) =>
    this.#write(paths.hostAction(segment(name), 'evacuate'), request, options)
  /** Changes nothing. */
  planEvacuation = (request: EvacuationPlanRequest, options: ReadOptions = {}) =>
    this.#transport.json('POST', paths.evacuationPlan, { ...options, body: request }) as Promise<EvacuationPlanView>
  restore = async (name: string, request: RestoreRequest = {}, options?: WriteOptions) =>
    this.#write(paths.hostAction(segment(name), 'restore'), request, options)
  cordon = async (name: string, options?: WriteOptions) =>
    this.#write(paths.hostAction(segment(name), 'cordon'), {}, options)
  uncordon = async (name: string, options?: WriteOptions) =>
    this.#write(paths.hostAction(segment(name), 'uncordon'), {}, options)

  /** Only of a host that is dead for sure. */
  hostLost = async (name: string, request: HostLostRequest, options?: WriteOptions) =>
    this.#write(paths.hostAction(segment(name), 'lost'), request, options)

  removeHost = async (name: string, { force = false } = {}, options: WriteOptions = {}) =>
    this.#transport.json(
      'DELETE',
      `${paths.host(segment(name))}${force ? '?force=1' : ''}`,
      withKey(options),
    ) as Promise<Operation>

  hostTokens = (options?: ReadOptions) => this.#read<HostToken[]>(paths.hostTokens, options)
  /** The token is in the answer and nowhere else. */
  makeHostToken = async (name: string, request: HostTokenRequest = {}, options: WriteOptions = {}) =>
    this.#transport.json('POST', paths.hostToken(segment(name)), {
      ...withKey(options),
      body: request,
    }) as Promise<HostTokenMade>
  revokeHostToken = async (name: string, options: WriteOptions = {}) =>
    this.#transport.json('DELETE', paths.hostToken(segment(name)), withKey(options)) as Promise<Operation>

  setHost = async (name: string, request: HostSetRequest, options?: WriteOptions) =>
    this.#write(paths.hostAction(segment(name), 'set'), request, options)

  policy = (options?: ReadOptions) => this.#read<SchedulingPolicy>(paths.policy, options)
  changePolicy = (change: PolicyChange, options?: WriteOptions) => this.#write(paths.policy, change, options)

  rebalanceStatus = (options?: ReadOptions) => this.#read<RebalanceStatus>(paths.rebalance, options)
  planRebalance = (options?: ReadOptions) => this.#read<RebalancePlanView>(paths.rebalancePart('plan'), options)
  rebalanceHistory = (options?: ReadOptions) => this.#read<RebalanceRecord[]>(paths.rebalancePart('history'), options)
  /** By hand: quiet hours and budgets don't count. */
  rebalance = (options?: WriteOptions) => this.#write(paths.rebalancePart('apply'), {}, options)

  containers = (options?: ReadOptions) => this.#read<Container[]>(paths.containers, options)
  container = async (name: string, options?: ReadOptions) =>
    this.#read<Container>(paths.container(segment(name)), options)
  explain = async (name: string, options?: ReadOptions) =>
    this.#read<ContainerExplanation>(paths.explainContainer(segment(name)), options)
  /** Launches nothing. */
  explainLaunch = (request: ExplainRequest, options: ReadOptions = {}) =>
    this.#transport.json('POST', paths.explain, { ...options, body: request }) as Promise<LaunchExplanation>
  launch = (request: LaunchRequest, options?: WriteOptions) => this.#write(paths.containers, request, options)
  /** Planned together; what became of each, in this order. */
  launchAll = (launches: LaunchRequest[], options: WriteOptions = {}) =>
    this.#transport.json('POST', paths.launches, { ...withKey(options), body: { launches } }) as Promise<
      LaunchOutcome[]
    >
  start = async (name: string, options?: WriteOptions) => this.#action(name, 'start', {}, options)
  stop = async (name: string, request: StopRequest = {}, options?: WriteOptions) =>
    this.#action(name, 'stop', request, options)
  restart = async (name: string, request: StopRequest = {}, options?: WriteOptions) =>
    this.#action(name, 'restart', request, options)
  freeze = async (name: string, options?: WriteOptions) => this.#action(name, 'freeze', {}, options)
  thaw = async (name: string, options?: WriteOptions) => this.#action(name, 'thaw', {}, options)
  move = async (name: string, request: MoveRequest = {}, options?: WriteOptions) =>
    this.#action(name, 'move', request, options)
  set = async (name: string, request: SetRequest, options?: WriteOptions) => this.#action(name, 'set', request, options)
  rename = async (name: string, request: RenameRequest, options?: WriteOptions) =>
    this.#action(name, 'rename', request, options)
  rebuild = async (name: string, request: RebuildRequest = {}, options?: WriteOptions) =>
    this.#action(name, 'rebuild', request, options)
  snapshots = async (name: string, options?: ReadOptions) =>
    this.#read<Snapshot[]>(paths.snapshots(segment(name)), options)
  snapshot = async (name: string, request: SnapshotRequest = {}, options?: WriteOptions) =>
    this.#write(paths.snapshots(segment(name)), request, options)
  restoreSnapshot = async (
    name: string,
    snapshot: string,
    request: SnapshotRestoreRequest = {},
    options?: WriteOptions,
  ) => this.#write(paths.snapshotRestore(segment(name), segment(snapshot)), request, options)
  deleteSnapshot = async (name: string, snapshot: string, options: WriteOptions = {}) =>
    this.#transport.json(
      'DELETE',
      paths.snapshot(segment(name), segment(snapshot)),
      withKey(options),
    ) as Promise<Operation>
  copy = async (name: string, request: CopyRequest, options?: WriteOptions) =>
    this.#write(paths.copy(segment(name)), request, options)
  delete = async (name: string, options: WriteOptions = {}) =>
    this.#transport.json('DELETE', paths.container(segment(name)), withKey(options)) as Promise<Operation>

  operations = (options?: ReadOptions) => this.#read<Operation[]>(paths.operations, options)
  operation = async (id: string, options?: ReadOptions) => this.#read<Operation>(paths.operation(segment(id)), options)
  cancel = async (id: string, options?: WriteOptions) => this.#write(paths.cancel(segment(id)), {}, options)

  images = (options?: ReadOptions) => this.#read<Image[]>(paths.images, options)
  buildImage = (request: ImageBuildRequest, options?: WriteOptions) => this.#write(paths.images, request, options)

  /** Sends an archive to a host, to be imported there. */
  upload = (content: AsyncIterable<Uint8Array>, options?: Parameters<typeof sendBulk>[2]) =>
    sendBulk(this.#transport, content, options)
  importImage = (request: ImageImportRequest, options?: WriteOptions) =>
    this.#write(paths.imageImport, request, options)
  importContainer = (request: ContainerImportRequest, options?: WriteOptions) =>
    this.#write(paths.containerImport, request, options)
  /** When it is done, its parameters say `upload` and `host`: where the disk is read. */
  exportContainer = async (name: string, request: ExportRequest = {}, options?: WriteOptions) =>
    this.#write(paths.export(segment(name)), request, options)
  uploadContent = (upload: string, host: string, options?: Parameters<typeof readBulk>[2]) =>
    readBulk(this.#transport, paths.uploadContent(segment(upload)), { ...options, query: { host } })
  removeUpload = async (upload: string, host: string, options: ReadOptions = {}): Promise<void> => {
    await this.#transport.json('DELETE', `${paths.upload(segment(upload))}?host=${encodeURIComponent(host)}`, options)
  }
  publish = async (name: string, request: PublishRequest, options?: WriteOptions) =>
    this.#write(paths.publish(segment(name)), request, options)
  setImage = async (name: string, request: ImageSetRequest, options?: WriteOptions) =>
    this.#write(paths.imageSet(segment(name)), request, options)
  deleteImage = async (name: string, options: WriteOptions = {}) =>
    this.#transport.json('DELETE', paths.image(segment(name)), withKey(options)) as Promise<Operation>
  /** A tar of its root file system; the SHA-256 of all of it is the image's digest. */
  imageContent = (name: string, options?: Parameters<typeof readBulk>[2]) =>
    readBulk(this.#transport, paths.imageContent(segment(name)), options)

  volumes = (options?: ReadOptions) => this.#read<VolumeView[]>(paths.volumes, options)
  volume = async (name: string, options?: ReadOptions) => this.#read<VolumeView>(paths.volume(segment(name)), options)
  createVolume = async (name: string, request: VolumeRequest = {}, options: WriteOptions = {}) =>
    this.#transport.json('PUT', paths.volume(segment(name)), {
      ...withKey(options),
      body: request,
    }) as Promise<Operation>
  /** With all that is in it. */
  deleteVolume = async (name: string, options: WriteOptions = {}) =>
    this.#transport.json('DELETE', paths.volume(segment(name)), withKey(options)) as Promise<Operation>

  profiles = (options?: ReadOptions) => this.#read<Profile[]>(paths.profiles, options)
  profile = async (name: string, options?: ReadOptions) => this.#read<Profile>(paths.profile(segment(name)), options)
  createProfile = async (name: string, request: ProfileRequest = {}, options: WriteOptions = {}) =>
    this.#transport.json('PUT', paths.profile(segment(name)), {
      ...withKey(options),
      body: request,
    }) as Promise<Operation>
  setProfile = async (name: string, request: ProfileRequest, options?: WriteOptions) =>
    this.#write(paths.profile(segment(name)), request, options)
  deleteProfile = async (name: string, options: WriteOptions = {}) =>
    this.#transport.json('DELETE', paths.profile(segment(name)), withKey(options)) as Promise<Operation>

  /** Resolves with the operation once it has ended, well or not (see operationFailure). */
  waitOperation(id: string, options?: WaitOptions): Promise<Operation> {
    const source = {
      operation: (operation: string, bounds: ReadOptions) => this.operation(operation, bounds),
      changes: (operation: string, signal: AbortSignal) => this.events({ operation, alone: true, signal }),
    }
    return waitOperation(source, id, options)
  }

  /** Ends when the signal is aborted. */
  events(options?: EventOptions): AsyncGenerator<ClusterEvent> {
    return eventStream(this.#transport, options)
  }

  /** Runs a command inside; `container` of the request is set from `name`. */
  async exec(name: string, request: Omit<ExecRequest, 'container'>, streams: ExecStreams): Promise<ExecSession> {
    const { openExec } = await import('./exec-session.ts')
    return openExec(this.#transport, { ...request, container: name }, streams)
  }

  /** One question about the inside of a container (protocol/inside.ts). Safe to repeat, and so repeated by itself. */
  inside = async <M extends InsideMethod>(
    name: string,
    method: M,
    params: InsideParams<M>,
    options: ReadOptions = {},
  ) =>
    this.#transport.json('POST', paths.inside(segment(name), method), { ...options, body: params }) as Promise<
      InsideResult<M>
    >

  /** Whether it could move live now, and where; `host` narrows it to one. */
  preflight = async (name: string, host: string | null = null, options?: ReadOptions) =>
    this.#read<Preflight>(
      `${paths.preflight(segment(name))}${host === null ? '' : `?host=${encodeURIComponent(host)}`}`,
      options,
    )

  /** The console log as it comes. With `follow` it ends when the signal is aborted or the container is gone. */
  async *logs(
    name: string,
    options: { follow?: boolean; tailBytes?: number | null; signal?: AbortSignal | null } = {},
  ): AsyncGenerator<Buffer> {
    const query = new URLSearchParams()
    if (options.follow) query.set('follow', '1')
    if (options.tailBytes != null) query.set('tailBytes', String(options.tailBytes))
    const suffix = query.size > 0 ? `?${query}` : ''
    const response = await this.#transport.stream(`${paths.logs(segment(name))}${suffix}`, {
      idleTimeoutMs: logsIdleTimeoutMs,
      signal: options.signal ?? null,
      headers: { accept: 'text/plain' },
    })
    try {
      yield* response as AsyncIterable<Buffer>
    } catch (error) {
      if (!options.signal?.aborted) throw error
    } finally {
      response.destroy()
    }
  }

  #read<Resource>(path: string, options: ReadOptions = {}): Promise<Resource> {
    return this.#transport.json('GET', path, options) as Promise<Resource>
  }

  async #action(
    name: string,
    action: 'start' | 'stop' | 'restart' | 'freeze' | 'thaw' | 'move' | 'set' | 'rename' | 'rebuild',
    body: unknown,
    options?: WriteOptions,
  ): Promise<Operation> {
    return this.#write(paths.containerAction(segment(name), action), body, options)
  }

  #write(path: string, body: unknown, options: WriteOptions = {}): Promise<Operation> {
    return this.#transport.json('POST', path, { ...withKey(options), body }) as Promise<Operation>
  }
}

function withKey(options: WriteOptions): WriteOptions {
  return { ...options, idempotencyKey: options.idempotencyKey ?? randomUUID() }
}

/** A name as one segment of a path: whatever a user types can't reach another path. */
function segment(name: string): string {
  if (name === '' || name === '.' || name === '..') {
    throw new DroverError('BAD_REQUEST', `name ${JSON.stringify(name)}: must be a DNS label`, { context: { name } })
  }
  return encodeURIComponent(name)
}
