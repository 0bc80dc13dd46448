// `node main.js CONFIG.json`: one controller until SIGTERM.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ControllerConfig } from '@drover/protocol'
import { RaftLog, type ReplicatedLog, SingleNodeLog } from '@drover/raft'
import { Compile } from '@drover/schema'
import { pino } from 'pino'
import { parseNetwork } from './core/allocate.ts'
import { startController } from './shell/controller.ts'
import type { ClusterStateMachine } from './shell/state-machine.ts'

/** A stop that takes longer is ended: whatever is not durable then is in the log. */
const stopDeadlineMs = 5_000

const config = readConfig(process.argv[2])
const logger = pino({ level: config.logLevel ?? 'info', base: { controller: config.name } })
process.on('unhandledRejection', fatal)
process.on('uncaughtException', fatal)

try {
  const controller = await startController({ config, logger, openLog, onFatal: fatal })
  logger.info({ api: `${config.apiAddress}:${controller.port}`, pid: process.pid }, 'controller is up')
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      logger.info({ signal }, 'stopping')
      setTimeout(() => process.exit(1), stopDeadlineMs).unref()
      controller.close().then(() => process.exit(0), fatal)
    })
  }
} catch (error) {
  fatal(error)
}

function openLog(machine: ClusterStateMachine): ReplicatedLog {
  const directory = join(config.dataDirectory, 'log')
  if (!config.raft) return new SingleNodeLog({ directory, machine })
  const { id, members } = config.raft
  const own = members.find((member) => member.id === id)
  if (!own) fail(`read ${process.argv[2]}: raft.members must hold this controller's id ${id}`)
  return new RaftLog({ directory, machine, id, address: own.address, members, secret: config.secret })
}

function readConfig(path: string | undefined): ControllerConfig {
  if (path === undefined) fail('usage: node main.js CONFIG.json')
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    fail(`read ${path}: ${(error as Error).message}`)
  }
  const validator = Compile(ControllerConfig)
  if (!validator.Check(value)) {
    const first = [...validator.Errors(value)][0]
    fail(`read ${path}: ${first?.instancePath || '/'} ${first?.message}`)
  }
  if (!parseNetwork(value.containerNetwork)) {
    fail(`read ${path}: containerNetwork must be an IPv4 network like 10.77.0.0/16; it is ${value.containerNetwork}`)
  }
  return value
}

function fail(message: string): never {
  process.stderr.write(`drover controller: ${message}\n`)
  process.exit(2)
}

function fatal(error: unknown): void {
  logger.fatal({ err: error }, 'controller ends')
  process.exit(1)
}
