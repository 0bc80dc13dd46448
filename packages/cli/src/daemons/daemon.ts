// One daemon of a node: what it is configured with, how it is started, found ready and stopped. Every daemon lives in a
// directory of its own with config, log and pid file. A `prefix` (nsenter …) runs it inside a laboratory host; every
// prefix must exec what follows, so that the pid stays the same.

import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol/plain'
import { giveClaimBack, takeClaim } from './claim.ts'
import {
  identify,
  isAlive,
  isStopping,
  type ProcessIdentity,
  readPidFile,
  removePidFile,
  signalProcess,
  writePidFile,
} from './pid-file.ts'
import { FatalWait, waitUntil } from './wait-until.ts'

export type DaemonKind = 'nats' | 'engine' | 'controller' | 'agent'
export const daemonKinds: readonly DaemonKind[] = ['nats', 'engine', 'controller', 'agent']

export interface Daemon {
  kind: DaemonKind
  /** Whose it is, for messages: a host's or controller's name. */
  owner: string
  directory: string
  /** Written to `configFile` (mode 0600) before each start. */
  configText: string
  command: string[]
  /** Beside what every daemon has. */
  environment?: Record<string, string>
  prefix: string[]
  /** Answers whether it can be used; throws or returns false while not. */
  ready: () => Promise<boolean>
}

/** A cold start of a Node daemon takes well under a second on an idle machine; busy ones get this long. */
export const readyDeadlineMs = 90_000
/** After SIGTERM a daemon has this long to leave by itself before SIGKILL. */
export const stopDeadlineMs = 5_000

export const configFile = (directory: string) => join(directory, 'config.json')
export const logFile = (directory: string) => join(directory, 'log')
export const pidFile = (directory: string) => join(directory, 'pid')

export type StartOutcome = 'started' | 'running'

/** Starts a daemon unless it runs already, and waits until it is ready. Who else starts it meanwhile finds it running. */
export async function startDaemon(daemon: Daemon, deadlineMs = readyDeadlineMs): Promise<StartOutcome> {
  const claim = join(daemon.directory, 'starting')
  mkdirSync(daemon.directory, { recursive: true, mode: 0o700 })
  await waitUntil(`another start of ${describe(daemon)} to end`, deadlineMs, () => takeClaim(claim))
  try {
    return await startClaimed(daemon, deadlineMs)
  } finally {
    giveClaimBack(claim)
  }
}

async function startClaimed(daemon: Daemon, deadlineMs: number): Promise<StartOutcome> {
  const running = readPidFile(pidFile(daemon.directory))
  const outcome: StartOutcome = running === null ? 'started' : 'running'
  const alive = running === null ? launch(daemon) : () => isAlive(running)
  try {
    await waitUntil(`${describe(daemon)} to be ready`, deadlineMs, async () => {
      if (!alive()) {
        throw new FatalWait(
          new DroverError(
            'WRONG_STATE',
            `${describe(daemon)} ended while starting:\n${lastLogLines(daemon.directory)}`,
          ),
        )
      }
      return await daemon.ready()
    })
  } catch (error) {
    if (!(error instanceof DroverError && error.code === 'TIMED_OUT')) throw error
    throw new DroverError('TIMED_OUT', `${error.message}; its log ends:\n${lastLogLines(daemon.directory)}`, {
      cause: error,
    })
  }
  return outcome
}

/** Asks a daemon to leave, and kills it when it does not. Resolves when it is gone. */
export async function stopDaemon(
  directory: string,
  deadlineMs = stopDeadlineMs,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<'stopped' | 'killed' | 'absent'> {
  const identity = readPidFile(pidFile(directory))
  if (identity === null) {
    removePidFile(pidFile(directory))
    return 'absent'
  }
  writePidFile(pidFile(directory), identity, { stopping: true })
  const outcome = await endProcess(identity, deadlineMs, signal)
  removePidFile(pidFile(directory))
  return outcome
}

/** It was started and is gone, and nobody asked it to. */
export function endedByItself(directory: string): boolean {
  const file = pidFile(directory)
  return existsSync(file) && readPidFile(file) === null && !isStopping(file)
}

export async function endProcess(
  identity: ProcessIdentity,
  deadlineMs: number,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<'stopped' | 'killed'> {
  signalProcess(identity, signal)
  try {
    await waitUntil(`process ${identity.pid} to end`, deadlineMs, () => !isAlive(identity))
    return 'stopped'
  } catch {
    signalProcess(identity, 'SIGKILL')
    await waitUntil(`process ${identity.pid} to end after SIGKILL`, stopDeadlineMs, () => !isAlive(identity))
    return 'killed'
  }
}

/** The process of a running daemon; null when it does not run. */
export function runningDaemon(directory: string): ProcessIdentity | null {
  return readPidFile(pidFile(directory))
}

/** The end of a daemon's log, for a message. */
export function lastLogLines(directory: string, count = 15): string {
  if (!existsSync(logFile(directory))) return '(no log)'
  const lines = readFileSync(logFile(directory), 'utf8').trimEnd().split('\n')
  return lines.slice(-count).join('\n') || '(empty log)'
}

const describe = (daemon: Daemon) => `${daemon.kind} of ${daemon.owner}`

/** Spawns the process in a session of its own, so that a Ctrl-C of the starter is not also its own. */
function launch(daemon: Daemon): () => boolean {
  writeFileSync(configFile(daemon.directory), daemon.configText, { mode: 0o600 })
  const [program, ...args] = [...daemon.prefix, ...daemon.command]
  const log = openSync(logFile(daemon.directory), 'a', 0o600)
  let child: ChildProcess
  let spawnError: Error | null = null
  try {
    child = spawn(program as string, args, {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: '/',
      env: { ...daemonEnvironment(), ...daemon.environment },
    })
  } finally {
    closeSync(log)
  }
  child.on('error', (error) => {
    spawnError = error
  })
  child.unref()
  const identity = child.pid === undefined ? null : identify(child.pid)
  if (identity !== null) writePidFile(pidFile(daemon.directory), identity)
  return () => {
    if (spawnError !== null) {
      throw new FatalWait(
        new DroverError('WRONG_STATE', `start ${describe(daemon)}: cannot run ${program}: ${spawnError.message}`, {
          cause: spawnError,
        }),
      )
    }
    // Without a pid it was never spawned: the error that says why is on its way.
    return identity === null || (child.exitCode === null && child.signalCode === null)
  }
}

/** Daemons get a plain environment: nothing of the caller's shell changes what they do. */
function daemonEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, TZ } = process.env
  return {
    PATH: PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...(HOME === undefined ? {} : { HOME }),
    ...(TZ === undefined ? {} : { TZ }),
    LANG: 'C.UTF-8',
  }
}
