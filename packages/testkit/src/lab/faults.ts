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

/** The CRIU processes of a host's engine: those in its cgroups that are not a container's. */
export function criuProcesses(hostCgroups: readonly string[]): number[] {
  return processesIn(hostCgroups.map((directory) => join(directory, 'daemons'))).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'criu'
    } catch {
      return false
    }
  })
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
      .filter((point) => point.includes(container))
      .map((point) => `mount ${point}`),
    ...(links.split('\n').some((line) => linkName(line) === link) ? [`link ${link}`] : []),
    ...filesNamed(container, `/proc/${holder}/root/run/drover`),
    ...['engine', 'containers', 'agent'].flatMap((part) => filesNamed(container, join(directory, part))),
  ]
}

/** Files and directories with the container's id in their name; what is in such a directory isn't listed. */
function filesNamed(container: string, directory: string, depth = 4): string[] {
  if (depth === 0 || !existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name)
    if (entry.name.includes(container)) return [`file ${path}`]
    return entry.isDirectory() ? filesNamed(container, path, depth - 1) : []
  })
}
