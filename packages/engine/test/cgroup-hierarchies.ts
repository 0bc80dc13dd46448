// The cgroup hierarchies that are mounted here, of either version, as a test host mounts them again in its own namespaces. Each is
// told once, by the last of its mount points. And a cgroup for a test host in one of them, made and removed.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

interface Hierarchy {
  mountPoint: string
  /** Options for mounting it again; null: cgroup2. */
  options: string | null
}

export function hierarchies(): Hierarchy[] {
  const found = new Map<string, Hierarchy>()
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n')) {
    const [left = '', right = ''] = line.split(' - ')
    const mountPoint = left.split(' ')[4] as string
    const [type, , options = ''] = right.split(' ')
    if (type === 'cgroup2') found.set(mountPoint, { mountPoint, options: null })
    if (type !== 'cgroup') continue
    const controllers = options
      .split(',')
      .filter((o) => !['rw', 'ro', 'xattr', 'clone_children'].includes(o) && !o.startsWith('release_agent'))
    if (controllers.some((o) => o.startsWith('name='))) controllers.unshift('none')
    found.set(mountPoint, { mountPoint, options: controllers.join(',') })
  }
  return [...found.values()]
}

/** Ready for processes, and with every controller that the hierarchy has. */
export function makeCgroup(mountPoint: string, name: string): string {
  delegateControllers(mountPoint)
  const directory = join(mountPoint, name)
  mkdirSync(directory)
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    // A version 1 cpuset takes no process before it has cpus and memory nodes; its children get them from it.
    if (!existsSync(join(directory, file)) || !existsSync(join(directory, 'cgroup.clone_children'))) continue
    writeFileSync(join(directory, 'cgroup.clone_children'), '1')
    writeFileSync(join(directory, file), readFileSync(join(mountPoint, file)))
  }
  return directory
}

/** Version 2 gives children what their parent lets them have. A controller that it can't let them have is left out. */
function delegateControllers(parent: string): void {
  const file = join(parent, 'cgroup.subtree_control')
  if (!existsSync(file)) return
  for (const controller of readFileSync(join(parent, 'cgroup.controllers'), 'utf8').split(/\s+/).filter(Boolean)) {
    try {
      writeFileSync(file, `+${controller}`)
    } catch {}
  }
}

/** Deepest first; what is still in use stays. */
export function removeCgroups(directory: string): void {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true }))
      if (entry.isDirectory()) removeCgroups(join(directory, entry.name))
    rmdirSync(directory)
  } catch {}
}
