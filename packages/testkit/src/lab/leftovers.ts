// What of a laboratory still exists on this machine: the answer must be nothing after it was taken down.

import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { isAlive } from '@drover/cli/daemons'
import { processesIn } from './cgroups.ts'
import { type LabState, stateFile } from './state-file.ts'
import { daemonProcesses } from './teardown.ts'

/** One line per thing left, for a person; empty when nothing is. */
export function leftovers(state: LabState): string[] {
  const found = [
    ...processesIn(state.cgroups).map((pid) => `process ${pid} in ${state.cgroups[0]}`),
    ...state.directories.flatMap(daemonProcesses).map(({ pid }) => `daemon process ${pid}`),
    ...Object.entries(state.holders).flatMap(([name, holder]) => (isAlive(holder) ? [`holder of ${name}`] : [])),
    ...state.cgroups.filter((directory) => existsSync(directory)).map((directory) => `cgroup ${directory}`),
    ...state.links.filter((link) => existsSync(`/sys/class/net/${link}`)).map((link) => `link ${link}`),
    ...namespaceUsers(state),
    ...mountsBelow(state.directories),
    ...state.directories.filter((directory) => existsSync(directory)).map((directory) => `directory ${directory}`),
    ...(existsSync(stateFile(state.id)) ? [`state file ${stateFile(state.id)}`] : []),
  ]
  return [...new Set(found)]
}

/**
 * Processes that still sit in one of its namespaces. The kernel gives the number of one that is gone to the next that is made, which may be
 * another laboratory's: that one's processes are in cgroups of its own.
 */
function namespaceUsers({ id, namespaces }: LabState): string[] {
  if (namespaces.length === 0) return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const used = ['net', 'mnt', 'cgroup'].map((kind) => readlinkSync(`/proc/${pid}/ns/${kind}`))
        const owner = /\/drover-lab-(\w+)/.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? id
        if (owner !== id) return []
        return used
          .filter((namespace) => namespaces.includes(namespace))
          .map((namespace) => `process ${pid} (${commandLine(pid)}) in namespace ${namespace}`)
      } catch {
        return []
      }
    })
}

function commandLine(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim().slice(0, 120)
}

function mountsBelow(directories: string[]): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((point) => directories.some((directory) => point === directory || point.startsWith(`${directory}/`)))
    .map((point) => `mount ${point}`)
}
