// Whatever starts containers: drover's engine, a peer, the floor. Each is asked the same way, so that each is measured the same way.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { run } from '@drover/testkit/lab'
import type { BenchHost } from './bench-host.ts'

export interface Runtime {
  name: string
  /** What it gives the container for a network, for the notes. */
  network: string
  /** Untimed: configuration, directories. */
  prepare: (serial: number) => Promise<void>
  /** Returns the moment (wall clock, ms) at which the start was asked for. */
  start: (serial: number) => Promise<number>
  /** Where the container's first process writes its moment, as this process sees it. */
  stampFile: (serial: number) => string
  /** An address, or a file with the pid on whose loopback the service answers. */
  reach: (serial: number) => string
  /** Ends it at once; ms until it was gone. */
  kill: (serial: number) => Promise<number>
  /** Of a whole system: asks init to shut it down; ms until it was gone. */
  stop?: (serial: number) => Promise<number>
  remove: (serial: number) => Promise<void>
}

/** By the clock that bench-tool reads: a container's monotonic one may be its own. */
export const nowMs = (): number => performance.timeOrigin + performance.now()

export interface Spawned {
  beforeMs: number
  afterMs: number
}

/** Runs a command on the host, timed by a small C program; `before` is what leads to it, untimed. */
export async function spawnTimed(host: BenchHost, command: string[], before: string[] = []): Promise<Spawned> {
  const log = join(host.directory, 'spawn.log')
  const [program, ...rest] = [...host.place.prefix, ...before, host.tool, 'spawn', log, ...command] as [
    string,
    ...string[],
  ]
  const { stdout, stderr, code } = await run(program, rest, { deadlineMs: 60_000 })
  const [began, ended, exit] = stdout.split(' ').map(Number)
  if (code === 0 && exit === 0) return { beforeMs: (began as number) / 1e6, afterMs: (ended as number) / 1e6 }
  const said = code === 0 ? readFileSync(log, 'utf8') : stderr
  throw new DroverError('INTERNAL', `${command.join(' ')} ended with ${exit ?? code}: ${said.trim().slice(-400)}`)
}

/** Makes sure that a peer's program is here: null, or why it isn't. Installs the Debian package when it can. */
export async function fetchPeer(
  program: string,
  debianPackage: string,
  onProgress: (line: string) => void,
): Promise<string | null> {
  const there = async () => (await run('sh', ['-c', `command -v ${program}`])).code === 0
  if (await there()) return null
  onProgress(`installing ${debianPackage} to compare with (it stays installed)`)
  const { code, stderr } = await run('apt-get', ['install', '-y', '--no-install-recommends', debianPackage], {
    deadlineMs: 300_000,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }).catch((error: Error) => ({ code: 1, stderr: error.message }))
  if (code === 0 && (await there())) return null
  return `${program} is missing, and apt-get install ${debianPackage} failed: ${stderr.trim().split('\n').at(-1)}`
}
