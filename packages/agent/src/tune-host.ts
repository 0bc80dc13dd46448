// Settings of the kernel that say how many containers a host can hold, raised when the agent starts: what is usual is meant for a machine with
// one user's programs. Only upwards, so that an administrator's larger value stays; one that can't be raised is said and left. They are
// those of LXD's "production setup", with pid_max and connection tracking beside them. Nothing is put back when the agent ends:
// containers go on without it.

import { readFileSync, writeFileSync } from 'node:fs'

/** Path below /proc/sys, and what a host with a thousand containers of systemd is well off with. */
export const hostSettings: readonly (readonly [path: string, least: number])[] = [
  // Counted for a user over all of its containers' namespaces, and root made them all.
  ['fs/inotify/max_user_instances', 1_048_576],
  ['fs/inotify/max_user_watches', 1_048_576],
  ['fs/inotify/max_queued_events', 1_048_576],
  ['fs/aio-max-nr', 524_288],
  ['kernel/keys/maxkeys', 2_000],
  ['kernel/keys/maxbytes', 2_000_000],
  // PID_MAX_LIMIT of 64-bit kernels.
  ['kernel/pid_max', 4_194_304],
  ['vm/max_map_count', 262_144],
  // Entries are kept from the second on, and refused from the third.
  ['net/ipv4/neigh/default/gc_thresh3', 8_192],
  ['net/ipv4/neigh/default/gc_thresh2', 4_096],
  ['net/ipv6/neigh/default/gc_thresh3', 8_192],
  ['net/ipv6/neigh/default/gc_thresh2', 4_096],
  // Connections of all containers pass through the host's table. Its hash table stays: a dump walks that.
  ['net/netfilter/nf_conntrack_max', 262_144],
]

export interface Kernel {
  /** null: this kernel has no such setting. */
  read(path: string): string | null
  write(path: string, value: string): void
}

export interface Tuning {
  /** `fs.inotify.max_user_instances 128 → 1048576` */
  raised: string[]
  /** The same with the reason why not. */
  refused: string[]
}

export function tuneHost(kernel: Kernel = procSys): Tuning {
  const tuning: Tuning = { raised: [], refused: [] }
  for (const [path, least] of hostSettings) {
    const now = kernel.read(path)
    if (now === null || !/^\d+$/.test(now) || Number(now) >= least) continue
    const change = `${path.replaceAll('/', '.')} ${now} → ${least}`
    try {
      kernel.write(path, String(least))
      tuning.raised.push(change)
    } catch (error) {
      tuning.refused.push(`${change}: ${(error as Error).message}`)
    }
  }
  return tuning
}

const procSys: Kernel = {
  read: (path) => {
    try {
      return readFileSync(`/proc/sys/${path}`, 'utf8').trim()
    } catch {
      return null
    }
  },
  write: (path, value) => writeFileSync(`/proc/sys/${path}`, value),
}
