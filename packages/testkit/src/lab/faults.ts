// What a fault test does to a laboratory beside killing daemons: arms the points at which an agent holds a migration still
// (packages/agent/src/fault-points.ts), pulls a host's cable or its plug, finds CRIU, and looks for traces of a container on a host.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitUntil } from '@drover/cli/daemons'
import { killAllIn, processesIn } from './cgroups.ts'
import { must } from './run.ts'

export interface ArmedPoint {
  /** Resolves once an agent waits at the point; TIMED_OUT after the deadline. */
  reached(deadlineMs: number): Promise<void>
  /** Lets the agent go on; without effect when it never came. Idempotent. */
  letGo(): void
}

export function arm(directory: string, point: string): ArmedPoint {
  mkdirSync(directory, { recursive: true })
  const armed = join(directory, point)
  const reached = `${armed}.reached`
  writeFileSync(armed, '')
  return {
    reached: async (deadlineMs) => {
      await waitUntil(`an agent to come to ${point}`, deadlineMs, () => existsSync(reached), 5)
    },
    letGo: () => {
      rmSync(armed, { force: true })
      rmSync(reached, { force: true })
    },
  }
}

/** Takes a host's only cable out of the fabric, or puts it back; `holder`: a process in the host's namespaces. */
export async function setCable(holder: number, plugged: boolean): Promise<void> {
  const command = ['ip', 'link', 'set', 'up0', plugged ? 'up' : 'down']
  await must('nsenter', ['--target', String(holder), '--net', '--', ...command])
}

/** The CRIU processes that a host's engine has started, without their children: those are what a dead CRIU leaves behind. */
export function criuProcesses(hostCgroups: readonly string[], engine: number | null): number[] {
  return daemonsNamed(hostCgroups, ['criu']).filter((pid) => parentOf(pid) === engine)
}

/** Processes with these names in a host's cgroups that are not a container's. */
function daemonsNamed(hostCgroups: readonly string[], names: readonly string[]): number[] {
  return processesIn(hostCgroups.map((directory) => join(directory, 'daemons'))).filter((pid) =>
    names.includes(readOf(pid, 'comm').trim()),
  )
}

/** `pid (name) state ppid …`, proc(5). */
const parentOf = (pid: number): number => Number(readOf(pid, 'stat').split(') ').at(-1)?.split(' ')[1])

/** Empty for a process that has ended. */
function readOf(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

/** All of a host's daemons and containers, but not the process that holds its namespaces. */
export const killAllOf = ({ cgroups, holder }: HostToSearch, deadlineMs: number): Promise<void> =>
  killAllIn([...cgroups], deadlineMs, holder)

export interface HostToSearch {
  cgroups: readonly string[]
  /** A process in the host's namespaces. */
  holder: number
  /** Where the host's daemons keep their files. */
  directory: string
}

/**
 * One line per trace of a container on a host: processes, cgroups, mounts, links, files. Empty: as if it had never been there.
 * `link` is what its veth is called on its host.
 */
export async function tracesOf(
  container: string,
  link: string,
  { cgroups, holder, directory }: HostToSearch,
): Promise<string[]> {
  const own = cgroups.map((root) => join(root, 'drover', container)).filter((path) => existsSync(path))
  const links = await must('nsenter', ['--target', String(holder), '--net', '--', 'ip', '-o', 'link'])
  const linkName = (line: string) => (line.split(': ')[1] ?? '').split('@')[0]
  return [
    ...processesIn(own).map((pid) => `process ${pid}`),
    ...own.map((path) => `cgroup ${path}`),
    ...readFileSync(`/proc/${holder}/mountinfo`, 'utf8')
      .split('\n')
      .map((line) => line.split(' ')[4] ?? '')
      .filter((point) => names(point, container))
      .map((point) => `mount ${point}`),
    ...(links.split('\n').some((line) => linkName(line) === link) ? [`link ${link}`] : []),
    ...filesNamed(container, `/proc/${holder}/root/run/drover`),
    ...['engine', 'containers', 'agent'].flatMap((part) => filesNamed(container, join(directory, part))),
  ]
}

/**
 * One line per trace of a move on a host that took part in it: checkpoints, processes that carried it, and writes to the container's
 * memory that are still tracked (`uw` among a mapping's flags, proc(5)).
 */
export function tracesOfMove(
  operation: string,
  container: string,
  { cgroups, holder, directory }: HostToSearch,
): string[] {
  const own = processesIn(cgroups.map((root) => join(root, 'drover', container)).filter((path) => existsSync(path)))
  return [
    ...filesNamed(operation, `/proc/${holder}/root/run/drover`),
    ...filesNamed(operation, join(directory, 'agent')),
    ...daemonsNamed(cgroups, ['tar']).map((pid) => `process ${pid} (tar)`),
    ...own
      .filter((pid) => /^VmFlags:.* uw/m.test(readOf(pid, 'smaps')))
      .map((pid) => `tracked writes of process ${pid}`),
  ]
}

/** Ids are short: `c1` is no part of `bfc12`. */
const names = (text: string, id: string): boolean => new RegExp(`(?<![A-Za-z0-9])${id}(?![A-Za-z0-9])`).test(text)

/** What an agent keeps on purpose of containers that have left, recorded and bounded: no trace. */
const keptOnPurpose = 'leftovers'

/** Files and directories with the container's id in their name; what is in such a directory isn't listed. */
function filesNamed(container: string, directory: string, depth = 4): string[] {
  if (depth === 0 || !existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (names(entry.name, container)) return [`file ${path}`]
    if (entry.name === keptOnPurpose) return []
    return entry.isDirectory() ? filesNamed(container, path, depth - 1) : []
  })
}
