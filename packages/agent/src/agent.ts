// Puts the agent's parts together: what comes from the bus goes to the store, what comes from the engine to the mirror, and whatever
// changes pokes the container's worker and publishes a report. It decides nothing itself.

import { mkdirSync, rmSync } from 'node:fs'
import { EngineClient } from '@drover/engine'
import {
  type AgentConfig,
  type AssignmentBatch,
  completeReportMs,
  DroverError,
  heartbeatMs,
  type Peer,
  protocolVersion,
  type Resources,
} from '@drover/protocol'
import { AssignmentStore } from './assignment-store.ts'
import { Bus } from './bus.ts'
import { machineCapacity, UsageMeter } from './capacity.ts'
import { DiskMeter } from './disk-meter.ts'
import { EngineMirror } from './engine-mirror.ts'
import { engineDeadlines } from './engine-port.ts'
import { FaultPoints } from './fault-points.ts'
import { cores, hostFeatures } from './features.ts'
import { AgentGrpc } from './grpc.ts'
import { HostShutdown } from './host-shutdown.ts'
import { ImageStore } from './images/image-store.ts'
import { ImageTasks } from './images/image-tasks.ts'
import { ImageFetcher, sendImage } from './images/image-transfer.ts'
import { Uploads } from './images/uploads.ts'
import { LeaseKeeper } from './lease-keeper.ts'
import { Leftovers } from './leftovers/leftovers.ts'
import { checkpointRootFor } from './migration/checkpoint-directory.ts'
import { acceptMigration } from './migration/destination.ts'
import { MigrationSessions } from './migration/sessions.ts'
import { restWithinMs, type StepSurroundings, tellWithinMs } from './migration/step-news.ts'
import { SwitchedNotes } from './migration/switched-notes.ts'
import { ContainerObserver } from './observe.ts'
import { onceAwake } from './once-awake.ts'
import { OverlayPeers } from './overlay-peers.ts'
import type { AgentParts, Log } from './parts.ts'
import { machinePressure } from './pressure.ts'
import { type ReportFacts, ReportWriter } from './report-writer.ts'
import { sendDisk } from './snapshots/copy-over.ts'
import { SnapshotJobs } from './snapshots/jobs.ts'
import { KeptStreams } from './streams/kept-streams.ts'
import type { Hello } from './streams/messages.ts'
import { Pace } from './streams/pace.ts'
import type { StreamConnection } from './streams/stream-connection.ts'
import { StreamServer } from './streams/stream-server.ts'
import { accessOf } from './tls.ts'
import { Volumes } from './volumes/volumes.ts'
import { Workers } from './workers.ts'

/** A look at the file system's free room costs a system call. */
const trimEveryMs = 10_000

export class Agent {
  readonly #config: AgentConfig
  readonly #capacity: Resources
  readonly #session = Date.now()
  readonly #client: EngineClient
  readonly #parts: AgentParts
  readonly #workers: Workers
  readonly #tasks: ImageTasks
  readonly #bus: Bus
  readonly #overlay: OverlayPeers | null
  readonly #usage = new UsageMeter()
  readonly #disks = new DiskMeter()
  readonly #hostShutdown: HostShutdown
  #streams: StreamServer | null = null
  #grpc: AgentGrpc | null = null
  #lists: NodeJS.Timeout | null = null
  #looks: NodeJS.Timeout | null = null
  #trimmedAtMs = 0
  readonly #reports = new ReportWriter()
  readonly #observer = new ContainerObserver()

  constructor(config: AgentConfig, log: Log) {
    this.#config = config
    mkdirSync(config.dataDirectory, { recursive: true, mode: 0o755 })
    const leftovers = new Leftovers(config.dataDirectory, { mostBytes: null })
    this.#capacity = config.capacity ?? machineCapacity(config.dataDirectory, leftovers.totalBytes)
    const images = new ImageStore(config.dataDirectory)
    this.#hostShutdown = new HostShutdown(config.dataDirectory)
    const access = accessOf(config)
    const checkpointRoot = emptyCheckpointRoot(config)
    this.#client = new EngineClient(config.engineSocket, { onUp: (up) => this.#engineUp(up) })
    const store = new AssignmentStore(config.dataDirectory, (message) => log.error({}, message))
    this.#parts = {
      host: config.host,
      access,
      faults: new FaultPoints(config.faultDirectory ?? null),
      checkpointRoot,
      switched: new SwitchedNotes(checkpointRoot),
      engine: this.#client,
      mirror: new EngineMirror((container) => this.#hostShutdown.seen(container)),
      store,
      images,
      fetcher: new ImageFetcher(images, access),
      sessions: new MigrationSessions((container, step) => {
        this.#workers.poke(container)
        const withinMs = tellWithinMs(step, this.#surroundings(container))
        if (withinMs === 0) this.#bus.publishSoon()
        else this.#bus.publishWithin(withinMs)
      }),
      snapshots: new SnapshotJobs(),
      uploads: new Uploads(config.dataDirectory),
      leftovers,
      volumes: new Volumes(config.dataDirectory),
      links: { outgoing: new Pace(), incoming: new Pace() },
      keptStreams: new KeptStreams(),
      lease: new LeaseKeeper(this.#client, store, log),
      log,
    }
    this.#workers = new Workers(this.#parts, (container) => this.#tell(container))
    this.#tasks = new ImageTasks(this.#parts, config, () => this.#bus.publishSoon())
    const { cluster, host, natsServers: servers, secret } = config
    this.#overlay = config.overlay === undefined ? null : new OverlayPeers(config.overlay, log)
    this.#bus = new Bus({
      cluster,
      host,
      session: this.#session,
      servers,
      secret,
      tls: config.tls ?? null,
      log,
      hosts: config.overlay !== undefined,
      report: (everything) => {
        if (everything) this.#reports.sayEverything()
        return this.#reports.next(this.#reportFacts())
      },
      take: (batch, askedAtMs) => this.#take(batch, askedAtMs),
    })
  }

  async start(): Promise<void> {
    const { address, streamPort, grpcPort } = this.#config
    const { access } = this.#parts
    this.#streams = await StreamServer.start(address, streamPort, access, (connection, hello) =>
      this.#serve(connection, hello),
    )
    this.#grpc = await AgentGrpc.start(address, grpcPort, access, onceAwake(this.#client, this.#parts), this.#tasks)
    this.#client.onEvent(({ container }) => {
      if (this.#parts.mirror.event(container)) this.#containerChanged(container.container)
    })
    this.#bus.start()
    this.#lists = setInterval(() => void this.#tellEverything(), completeReportMs)
    this.#looks = setInterval(() => this.#lookAtDisks(), heartbeatMs)
    this.#parts.log.info({ streamPort: this.#streams.port, grpcPort: this.#grpc.port }, 'agent started')
  }

  /** Leaves every container as it is, unless the host goes down: then they are stopped, in order. Migrations under way are given up: nobody would go on with them. */
  async stop({ hostGoesDown = false } = {}): Promise<void> {
    if (this.#lists) clearInterval(this.#lists)
    if (this.#looks) clearInterval(this.#looks)
    this.#workers.stop()
    await this.#bus.close()
    await this.#tasks.stop()
    await this.#parts.sessions.closeAll()
    await this.#parts.snapshots.closeAll()
    if (hostGoesDown) await this.#hostShutdown.stopAll(this.#parts)
    this.#grpc?.close()
    this.#parts.keptStreams.close()
    await this.#streams?.close()
    this.#client.close()
    this.#parts.store.close()
    rmSync(this.#parts.checkpointRoot, { recursive: true, force: true })
  }

  #serve(connection: StreamConnection, hello: Hello): void | Promise<void> {
    if (hello.kind === 'image') return sendImage(connection, this.#parts.images, hello.digest)
    if (hello.kind === 'disk') return sendDisk(this.#parts, connection, hello)
    return acceptMigration(this.#parts, connection, hello.operation, hello.container)
  }

  #take(batch: AssignmentBatch, askedAtMs: number | null): void {
    if (batch.hosts) void this.#overlay?.take(batch.hosts)
    if (batch.removedHosts) this.#parts.access.removed?.take(batch.removedHosts)
    const { changed, dropped } = this.#parts.store.apply(batch)
    if (dropped) {
      this.#parts.log.warn({ reason: dropped }, 'an assignment batch was dropped')
      return
    }
    if (askedAtMs !== null && batch.leaseMs !== undefined) this.#parts.lease.renew(askedAtMs + batch.leaseMs)
    else if (changed.length > 0) this.#parts.lease.assigned(changed)
    for (const container of changed) this.#workers.poke(container)
    if (batch.complete) for (const { container } of this.#parts.mirror.all()) this.#workers.poke(container)
    this.#tasks.accept(batch.imageTasks, batch.complete)
    for (const { digest, sources } of batch.keepImages ?? []) void this.#keep(digest, sources)
    if (batch.complete) this.#prune(batch)
    for (const container of changed) this.#tell(container)
  }

  /** Tried again with the next complete batch. */
  async #keep(digest: string, sources: Peer[]): Promise<void> {
    try {
      await this.#parts.fetcher.ensure(digest, sources)
      this.#bus.publishSoon()
    } catch (thrown) {
      this.#parts.log.warn(
        { digest, error: DroverError.from(thrown).message },
        'fetch an image to have it here as well',
      )
    }
  }

  #prune({ images, leftovers, dropVolumes }: AssignmentBatch): void {
    if (images) this.#parts.images.keepOnly(images)
    if (leftovers) this.#parts.leftovers.obey(leftovers)
    if (dropVolumes) this.#parts.volumes.obey(dropVolumes, this.#parts.store.all())
    const current = new Set<string>()
    for (const { migration, snapshotTask, exportTask, origin } of this.#parts.store.all()) {
      for (const under of [migration, snapshotTask, exportTask, origin]) if (under) current.add(under.operation)
    }
    this.#parts.sessions.prune(current)
    this.#parts.switched.prune(current)
    this.#parts.snapshots.prune(current)
  }

  #containerChanged(container: string): void {
    this.#workers.poke(container)
    this.#tell(container)
  }

  /** What matters of one that moves is the step of its session; how else it looks, and that an assignment was heard, has time. */
  #tell(container: string): void {
    const { store, sessions } = this.#parts
    if (store.get(container)?.migration || sessions.hasJustMoved(container)) this.#bus.publishWithin(restWithinMs)
    else this.#bus.publishSoon()
  }

  #surroundings(container: string): StepSurroundings {
    const { store, sessions } = this.#parts
    const { role, migration } = store.get(container) ?? {}
    const destination = migration?.destination.host
    return {
      underWay: sessions.underWay,
      cores,
      othersGoElsewhere: sessions.all().some((each) => {
        if (each.ended || each.side === 'destination' || each.container === container) return false
        return store.get(each.container)?.migration?.destination.host !== destination
      }),
      precopiedToAtOnce: role === 'destination' && migration?.precopiesAtOnce === true,
    }
  }

  #engineUp(up: boolean): void {
    const { mirror, log } = this.#parts
    if (up) {
      void this.#greetEngine()
      return
    }
    if (mirror.up) log.warn({}, 'the engine is down')
    mirror.up = false
    this.#bus.publishSoon()
  }

  async #greetEngine(): Promise<void> {
    const { mirror, engine, store, log } = this.#parts
    try {
      mirror.hello = await engine.call('hello', { protocolVersion }, { deadlineMs: engineDeadlines.quick })
      const { containers } = await engine.call('list', {}, { deadlineMs: engineDeadlines.quick })
      this.#hostShutdown.settle(containers)
      mirror.reset()
      mirror.replaceAll(containers, mirror.mark())
      mirror.up = true
      this.#parts.lease.engineBack()
      log.info({ engine: mirror.hello.version, containers: containers.length }, 'connected to the engine')
      for (const { container } of [...containers, ...store.all()]) this.#workers.poke(container)
      this.#bus.publishSoon()
    } catch (thrown) {
      log.warn({ error: DroverError.from(thrown).message }, 'greet the engine')
    }
  }

  /** What an engine that doesn't answer had last counts meanwhile. */
  async #tellEverything(): Promise<void> {
    await this.#list()
    this.#bus.publishEverythingSoon()
  }

  /** Use changes without events, and an event may be missed. */
  async #list(): Promise<void> {
    const { mirror, engine, log } = this.#parts
    if (!this.#client.up) return
    if (!mirror.up) return this.#greetEngine()
    const mark = mirror.mark()
    try {
      const { containers } = await engine.call('list', {}, { deadlineMs: engineDeadlines.quick })
      for (const container of mirror.replaceAll(containers, mark)) this.#containerChanged(container)
      this.#usage.listed(mirror.all())
    } catch (thrown) {
      log.warn({ error: DroverError.from(thrown).message }, 'list the containers')
    }
  }

  #lookAtDisks(): void {
    if (!this.#parts.mirror.up) return
    void this.#disks.turn(this.#parts.mirror.all())
    this.#trimLeftovers()
  }

  #trimLeftovers(): void {
    const now = performance.now()
    if (now - this.#trimmedAtMs < trimEveryMs) return
    this.#trimmedAtMs = now
    this.#parts.leftovers.trim()
  }

  #reportFacts(): ReportFacts {
    const { mirror, store, images, sessions } = this.#parts
    const { cluster, host, address } = this.#config
    const containers = mirror.all()
    const pressure = this.#config.capacity === null ? machinePressure(this.#capacity) : null
    return {
      cluster,
      host,
      session: this.#session,
      address,
      grpcPort: this.#grpc?.port ?? 0,
      streamPort: this.#streams?.port ?? 0,
      capacity: this.#capacity,
      used: { ...this.#usage.used(containers), diskBytes: this.#disks.totalBytes },
      features: hostFeatures(mirror.hello),
      images: images.digests(),
      leftovers: this.#parts.leftovers.all().map(({ container, bytes }) => ({ container, bytes })),
      volumes: this.#parts.volumes.all(),
      engineUp: mirror.up,
      ...(pressure === null ? {} : { pressure }),
      containers: this.#observer.observe(
        containers,
        (container) => store.get(container),
        this.#workers.failures(),
        (container, assignment) =>
          this.#workers.restarts.look(container, assignment, store.ranUnder(container.container)),
        (container) => this.#disks.of(container),
        (container) => this.#workers.firstBoots.outcome(container),
      ),
      sessions: sessions.all(),
      imageTasks: this.#tasks.results(),
      snapshots: this.#parts.snapshots.report(),
    }
  }
}

/** Checkpoints of an earlier life of this agent are of no use to anybody. */
function emptyCheckpointRoot({ dataDirectory }: AgentConfig): string {
  const root = checkpointRootFor(dataDirectory)
  rmSync(root, { recursive: true, force: true })
  mkdirSync(root, { recursive: true, mode: 0o700 })
  return root
}
