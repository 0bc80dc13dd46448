// What the hosts of a laboratory have of everything that a move makes and must take away again: counted on all of them together, since
// what belongs to the container is on one of them at a time. Read from the kernel, whatever the daemons say.

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { daemonKinds } from '@drover/cli/daemons'
import type { Container } from '@drover/protocol'
import { type Lab, run } from '@drover/testkit/lab'

/** Counts and bytes by name; those in bytes end in `_bytes`. */
export type Census = Record<string, number>

const hierarchies = '/sys/fs/cgroup'

export async function takeCensus(lab: Lab, { id, host }: Container): Promise<Census> {
  const census: Census = {}
  const add = (key: string, value: number) => {
    census[key] = (census[key] ?? 0) + value
  }
  for (const { kind, bytes } of lab.resident()) add(`${kind}_bytes`, bytes)
  for (const place of lab.hosts) {
    for (const kind of daemonKinds) {
      const pid = lab.pidOf(place.name, kind)
      if (pid !== null) add(`${kind}_fds`, entries(`/proc/${pid}/fd`))
    }
    const engine = lab.pidOf(place.name, 'engine')
    if (engine === null) continue
    add('mounts', lines(readFileSync(`/proc/${engine}/mountinfo`, 'utf8')))
    add('links', lines(readFileSync(`/proc/${engine}/net/dev`, 'utf8')))
    add('nft_rules', await nftLines(engine))
    add(
      'daemon_files',
      filesBelow(place.directory, ['images', 'log', 'containers', 'leftovers']) +
        filesBelow(`/proc/${engine}/root/run/drover`, []),
    )
  }
  add('cgroups', cgroupsOf(lab.id))
  for (const pid of lab.processesOf(host, id)) {
    add('container_processes', 1)
    add('container_fds', entries(`/proc/${pid}/fd`))
    add('container_bytes', proportionalBytes(pid))
  }
  const [init] = lab.processesOf(host, id)
  if (init !== undefined) add('container_mounts', lines(readFileSync(`/proc/${init}/mountinfo`, 'utf8')))
  return census
}

const lines = (text: string): number => text.trimEnd().split('\n').length

function entries(directory: string): number {
  try {
    return readdirSync(directory).length
  } catch {
    return 0
  }
}

/** Memory of the process, what it shares counted in part; 0 when it is gone. */
function proportionalBytes(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Lines of the host's rule set; 0 where there is no nft to ask. */
async function nftLines(pid: number): Promise<number> {
  const { code, stdout } = await run('nsenter', ['--target', String(pid), '--net', '--', 'nft', 'list', 'ruleset'])
  return code === 0 ? lines(stdout) : 0
}

/** `pruned`: names of directories that are not looked into. */
function filesBelow(directory: string, pruned: string[]): number {
  const skip = pruned.flatMap((name) => ['-name', name, '-prune', '-o'])
  return lines(execFileSync('find', [directory, '-xdev', ...skip, '-print'], { encoding: 'utf8' }))
}

/** Of the laboratory, in all hierarchies. */
function cgroupsOf(labId: string): number {
  const roots = [hierarchies, ...readdirSync(hierarchies).map((name) => `${hierarchies}/${name}`)]
    .map((directory) => `${directory}/drover-lab-${labId}`)
    .filter((directory) => existsSync(directory))
  return roots.length === 0 ? 0 : lines(execFileSync('find', [...roots, '-type', 'd'], { encoding: 'utf8' }))
}
