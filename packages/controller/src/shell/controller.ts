// One controller, wired: log and state machine, bus, leader loop, API.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ControllerConfig, leaseMs } from '@drover/protocol'
import type { ReplicatedLog } from '@drover/raft'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { addressesOfOthers } from '../core/views.ts'
import { Bus } from './bus.ts'
import type { ControllerContext } from './context.ts'
import { EventHub } from './event-hub.ts'
import { apiServer } from './http/server.ts'
import { joinServer } from './join-server.ts'
import { LeaderLoop } from './leader-loop.ts'
import { LeaseTable } from './lease-table.ts'
import { MachineHook } from './machine-hook.ts'
import { Pusher } from './pusher.ts'
import { Reports } from './reports.ts'
import { ClusterStateMachine } from './state-machine.ts'

export interface Controller {
  context: ControllerContext
  api: FastifyInstance
  /** Of the API. */
  port: number
  close(): Promise<void>
}

export interface ControllerOptions {
  config: ControllerConfig
  logger: Logger
  /** Makes the log that drives the state machine. */
  openLog(machine: ClusterStateMachine): ReplicatedLog
  /** The disk failed, or an invariant: the process must end; its next life starts from what is durable. */
  onFatal(error: unknown): void
}

/** A pull is answered only by who is sure to lead; agents ask again. */
const pullBarrierMs = 1_000

export async function startController(options: ControllerOptions): Promise<Controller> {
  const { config, logger } = options
  const directory = join(config.dataDirectory, 'state')
  mkdirSync(directory, { recursive: true })
  const now = Date.now
  const machine = new ClusterStateMachine(directory, options.onFatal)
  const reports = new Reports(config.cluster, now(), {
    refused: ({ code, message }) => logger.warn({ code }, message),
    missing: (host) => bus.wantReports(host),
  })
  const events = new EventHub()
  machine.onApplied((applied) => events.add(applied.events))
  const log = options.openLog(machine)
  const seed = () => Math.floor(Math.random() * 2 ** 31)
  const context: ControllerContext = { config, log, machine, reports, events, pending: new Map(), logger, now, seed }
  const pusher = new Pusher({
    state: () => machine.state,
    observed: reports,
    term: () => log.status().term,
    publish: (host, batch) => bus.publish(host, batch),
    warn: (host, container) =>
      logger.error({ host, container }, 'a host has a container that this cluster never made; it is told nothing'),
  })
  const machineHook = new MachineHook({ config: config.machineHook ?? null, log, now, logger })
  const leases = new LeaseTable()
  const loop = new LeaderLoop({ machine, log, observed: reports, pusher, now, seed, logger, machineHook, leases })
  const bus = new Bus(
    {
      cluster: config.cluster,
      servers: config.natsServers,
      secret: config.secret,
      tls: config.tls ?? null,
      name: config.name,
      log: logger,
    },
    {
      report: (bytes) => {
        const host = reports.receive(bytes, now())
        if (host !== null) loop.reported(host)
      },
      pull: async ({ host, hosts }) => {
        if (log.status().role !== 'leader') return null
        // First: whatever we decide about a silent host after this reckons with the lease that this answer renews.
        leases.asked(host)
        await log.barrier(pullBarrierMs)
        const batch = pusher.completeBatch(host)
        return batch && { ...batch, ...(hosts ? { hosts: addressesOfOthers(machine.state, host) } : {}), leaseMs }
      },
      connected: (up) => {
        logger.info({ up }, 'NATS')
        reports.listenSince(now())
        leases.listening(up && loop.isLeader)
        if (up) loop.busBack()
      },
    },
  )
  const api = await apiServer(context)
  const joins = joinServer(context)
  await log.start()
  loop.start()
  await bus.start()
  await api.listen({ host: config.apiAddress, port: config.apiPort })
  await joins?.listen()
  const address = api.server.address()
  const close = async () => {
    joins?.close()
    await api.close()
    loop.stop()
    await bus.close()
    await log.close()
    await machine.close()
  }
  return { context, api, port: typeof address === 'object' && address ? address.port : config.apiPort, close }
}
