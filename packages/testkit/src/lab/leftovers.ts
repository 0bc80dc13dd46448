// What of a laboratory still exists on this machine: the answer must be nothing after it was taken down.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { identify, isAlive, type ProcessIdentity } from '@drover/cli/daemons'
import { processesIn } from './cgroups.ts'
import { type LabState, stateFile } from './state-file.ts'
import { daemonProcesses } from './teardown.ts'

/**
 * One line per thing left, for a person; empty when nothing is. `users`: what namespaceUsers said when it was last up, needed once it is
 * down.
 */
export function leftovers(state: LabState, users: ProcessIdentity[] = namespaceUsers(state)): string[] {
  const found = [
    ...processesIn(state.cgroups).map((pid) => `process ${pid} in ${state.cgroups[0]}`),
    ...state.directories.flatMap(daemonProcesses).map(({ pid }) => `daemon process ${pid}`),
    ...Object.entries(state.holders).flatMap(([name, holder]) => (isAlive(holder) ? [`holder of ${name}`] : [])),
    ...state.cgroups.filter((directory) => existsSync(directory)).map((directory) => `cgroup ${directory}`),
    ...state.links.filter((link) => existsSync(`/sys/class/net/${link}`)).map((link) => `link ${link}`),
    ...users.filter(isAlive).flatMap(({ pid }) => {
      const own = namespacesOfProcess(pid).filter((namespace) => state.namespaces.includes(namespace))
      return own.map((namespace) => `process ${pid} (${commandLine(pid)}) in namespace ${namespace}`)
    }),
    ...mountsBelow(state.directories),
    ...state.directories.filter((directory) => existsSync(directory)).map((directory) => `directory ${directory}`),
    ...(existsSync(stateFile(state.id)) ? [`state file ${stateFile(state.id)}`] : []),
  ]
  return [...new Set(found)]
}

/**
 * Processes that sit in its namespaces, in its cgroups or not. To be asked while it is up: the kernel gives the number of a namespace that
 * is gone to the next that anybody makes.
 */
export function namespaceUsers({ namespaces }: LabState): ProcessIdentity[] {
  if (namespaces.length === 0) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => namespacesOfProcess(pid).some((namespace) => namespaces.includes(namespace)))
    .map(identify)
    .filter((identity) => identity !== null)
}

/** None of a process that has ended. */
function namespacesOfProcess(pid: number): string[] {
  try {
    return ['net', 'mnt', 'cgroup'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`))
  } catch {
    return []
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 120)
  } catch {
    return 'ended meanwhile'
  }
}

function mountsBelow(directories: string[]): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => directories.some((directory) => point === directory || point.startsWith(`${directory}/`)))
    .map((point) => `mount ${point}`)
}
