// The cgroup hierarchies that are mounted here, of either version, as a test host mounts them again in its own namespaces. Each is
// told once, by the last of its mount points.

import { readFileSync } from 'node:fs'

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
