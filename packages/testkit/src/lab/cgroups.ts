// The cgroups of a laboratory: one directory in every hierarchy that the machine has mounted (version 1, 2 or both), made,
// asked for its processes, emptied and removed.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitUntil } from '@drover/cli/daemons'
import { DroverError } from '@drover/protocol'

interface Hierarchy {
  mountPoint: string
  version: 1 | 2
  cpuset: boolean
}

/** The hierarchies as /proc/self/mountinfo has them; of several mounts on one path the last one counts. */
export function hierarchies(mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): Hierarchy[] {
  const found = new Map<string, Hierarchy>()
  for (const line of mountinfo.trimEnd().split('\n')) {
    const [left, right] = line.split(' - ')
    const mountPoint = left?.split(' ')[4]
    const [type, , options] = right?.split(' ') ?? []
    if (mountPoint === undefined) continue
    if (type === 'cgroup') {
      found.set(mountPoint, { mountPoint, version: 1, cpuset: (options ?? '').split(',').includes('cpuset') })
    } else if (type === 'cgroup2') found.set(mountPoint, { mountPoint, version: 2, cpuset: false })
    else found.delete(mountPoint)
  }
  return [...found.values()]
}

/**
 * A cgroup counts as one against every single process outside of it, and a laboratory is several machines: on a busy machine it would
 * starve, and elections with it. No more than eight, though: outside are the kernel's own threads, too. With 128, six containers that
 * computed held up the one that delivers packets for seconds, and no leader was found.
 */
const fairShare = [
  ['cpu.shares', '8192'],
  ['cpu.weight', '800'],
] as const

/** Makes the laboratory's cgroup in each hierarchy; returns the directories. */
export function makeCgroups(name: string): string[] {
  const all = hierarchies()
  if (all.length === 0) throw new DroverError('INTERNAL', 'make laboratory: no cgroup hierarchy is mounted')
  return all.map((hierarchy) => {
    const directory = makeChild(hierarchy.mountPoint, name, hierarchy)
    for (const [file, value] of fairShare) {
      if (existsSync(join(directory, file))) writeFileSync(join(directory, file), value)
    }
    return directory
  })
}

/** Makes a child in each of the laboratory's cgroups, with a leaf for the member's own daemons. */
export function makeMemberCgroups(roots: string[], member: string): string[] {
  const byPath = hierarchies()
  return roots.map((root) => {
    const hierarchy = byPath.find((h) => root.startsWith(`${h.mountPoint}/`)) as Hierarchy
    const directory = makeChild(root, member, hierarchy)
    makeChild(directory, 'daemons', { ...hierarchy, version: 1 })
    return directory
  })
}

function makeChild(parent: string, name: string, hierarchy: Hierarchy): string {
  const directory = join(parent, name)
  if (hierarchy.version === 2) delegateControllers(parent)
  mkdirSync(directory, { recursive: true })
  if (hierarchy.cpuset) {
    // A version 1 cpuset takes no process before it has cpus and memory nodes.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      writeFileSync(join(directory, file), readFileSync(join(parent, file)))
    }
  }
  return directory
}

/** Version 2: lets children of `parent` use whatever controllers it has. One that cannot be is left out. */
function delegateControllers(parent: string): void {
  for (const controller of readFileSync(join(parent, 'cgroup.controllers'), 'utf8').trim().split(' ')) {
    if (controller === '') continue
    try {
      writeFileSync(join(parent, 'cgroup.subtree_control'), `+${controller}`)
    } catch {}
  }
}

/** Every process in these cgroups and below. */
export function processesIn(roots: string[]): number[] {
  const pids = new Set<number>()
  for (const directory of roots.flatMap(withDescendants)) {
    for (const pid of readLines(join(directory, 'cgroup.procs'))) pids.add(Number(pid))
  }
  // 0 stands for a process of a PID namespace that we cannot see.
  pids.delete(0)
  return [...pids]
}

/** SIGKILLs everything in these cgroups; frozen ones are thawed after, so that they die without running an instruction. */
export async function killAllIn(roots: string[], deadlineMs: number, spared = process.pid): Promise<void> {
  await waitUntil(`the processes in ${roots[0]} to end`, deadlineMs, () => {
    const pids = processesIn(roots).filter((pid) => pid !== process.pid && pid !== spared)
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {}
    }
    if (pids.length > 0) thawAll(roots)
    return pids.length === 0
  })
}

function thawAll(roots: string[]): void {
  for (const directory of roots.flatMap(withDescendants)) {
    for (const [file, value] of [
      ['freezer.state', 'THAWED'],
      ['cgroup.freeze', '0'],
    ] as const) {
      const path = join(directory, file)
      if (!existsSync(path)) continue
      try {
        writeFileSync(path, value)
      } catch {}
    }
  }
}

/** Removes these cgroups with all below; the kernel may need a moment after the last process. */
export async function removeCgroups(roots: string[], deadlineMs: number): Promise<void> {
  await waitUntil(`the cgroups ${roots[0]} … to go`, deadlineMs, () => {
    for (const directory of roots.flatMap(withDescendants).reverse()) {
      try {
        rmdirSync(directory)
      } catch {}
    }
    return !roots.some((root) => existsSync(root))
  })
}

/** The directory and all below it, parents before children. */
function withDescendants(root: string): string[] {
  if (!existsSync(root)) return []
  const found = [root]
  for (let at = 0; at < found.length; at++) {
    let entries: { name: string; isDirectory: () => boolean }[]
    try {
      entries = readdirSync(found[at] as string, { withFileTypes: true })
    } catch {
      continue
    }
    for (const entry of entries) if (entry.isDirectory()) found.push(join(found[at] as string, entry.name))
  }
  return found
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
  } catch {
    return []
  }
}
