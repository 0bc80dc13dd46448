// The floor (native/bench/floor.c): what the kernel alone takes for the same namespaces and cgroups, with and without a veth.

import { existsSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { run, waitUntil } from '@drover/testkit/lab'
import { type BenchHost, init, peerUid } from './bench-host.ts'
import { nowMs, type Runtime } from './runtime.ts'

const endDeadlineMs = 30_000
const crowdDeadlineMs = 300_000

export function floorRuntime(host: BenchHost, withVeth: boolean): Runtime {
  const pids = new Map<number, number>()
  const cgroups = cgroupParents(host)
  const name = (serial: number) => `floor-${serial}`
  const pidFile = (serial: number) => join(host.directory, `${name(serial)}.pid`)
  const gone = (serial: number) =>
    waitUntil(`floor ${serial} to end`, endDeadlineMs, () => ended(pids.get(serial) as number))
  return {
    name: withVeth ? 'floor_veth' : 'floor',
    network: withVeth ? 'veth on the bridge, address' : 'none',
    prepare: async (serial) => rmSync(pidFile(serial), { force: true }),
    start: async (serial) => {
      const veth = withVeth ? [`fl${serial}`, host.address(serial), 'br0'] : ['-', '-', '-']
      const directories = cgroups.map((parent) => join(parent, name(serial))).join(':')
      const command = [
        ...host.place.prefix,
        host.tool,
        'floor',
        directories,
        host.shiftedRootfs,
        String(peerUid),
        pidFile(serial),
        ...veth,
        ...init,
      ]
      const { stdout, stderr } = await run(command[0] as string, command.slice(1))
      const [before, pid] = stdout.trim().split(' ').map(Number)
      if (!pid) throw new DroverError('INTERNAL', `start floor ${serial}: ${stderr.trim()}`)
      pids.set(serial, pid)
      return (before as number) / 1e6
    },
    stampFile: () => join(host.shiftedRootfs, 'started'),
    reach: (serial) => (withVeth ? host.address(serial) : pidFile(serial)),
    kill: async (serial) => {
      const before = nowMs()
      process.kill(pids.get(serial) as number, 'SIGKILL')
      await gone(serial)
      return nowMs() - before
    },
    remove: async (serial) => {
      await gone(serial)
      pids.delete(serial)
      for (const parent of cgroups) {
        const directory = join(hostRoot(host), parent, name(serial))
        await waitUntil(`cgroup ${directory} to go`, endDeadlineMs, () => removed(directory))
      }
    },
  }
}

export interface Crowd {
  firstSerial: number
  count: number
  batch: number
  underWay: number
  /** Memory that is touched before each batch, outside of its time. */
  touchedMiB: number
}

/** Starts a second, batch by batch, until all of them run; they are gone again when this returns. The tool itself starts and ends them. */
export async function floorRates(host: BenchHost, crowd: Crowd): Promise<number[]> {
  const network = host.address(0).split('.').slice(0, 2).join('.')
  const numbers = [crowd.firstSerial, crowd.count, crowd.batch, crowd.underWay, crowd.touchedMiB].map(String)
  const where = [cgroupParents(host).join(':'), host.shiftedRootfs, String(peerUid), network, 'br0']
  const said = await host.must([host.tool, 'floors', ...where, ...numbers, ...init], { deadlineMs: crowdDeadlineMs })
  return said.trim().split('\n').map(Number)
}

/** The host's file system as this process sees it. */
const hostRoot = (host: BenchHost): string => `/proc/${host.lab.pidOf('a', 'engine')}/root`

/** Where the engine has its cgroups, too: every hierarchy of the host. */
function cgroupParents(host: BenchHost): string[] {
  const mounts = readFileSync(`/proc/${host.lab.pidOf('a', 'engine')}/mountinfo`, 'utf8')
    .trimEnd()
    .split('\n')
  const points = mounts.filter((line) => / - cgroup2? /.test(line)).map((line) => line.split(' ')[4] as string)
  return [...new Set(points)].filter((point) => existsSync(join(hostRoot(host), point, 'drover')))
}

function removed(directory: string): boolean {
  try {
    rmdirSync(directory)
  } catch {}
  return !existsSync(directory)
}

/** Nobody waits for it but the machine's own init, which may take its time. */
function ended(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return true
  }
}
