// Rows of kernel objects: one for each probe of native/migration-probes, which says itself what it is about. Here is only what
// must not be expected to move, and why.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { installationRoot } from '@drover/cli/daemons'
import type { Expectation, Row } from './row.ts'

export const probeProgram = join(installationRoot, 'native', 'migration-probes', 'build', 'probe')

export const probesBuilt = (): boolean => existsSync(probeProgram)

const refused = (reason: RegExp): Expectation => ({ kind: 'refused', reason })
const lost = (reason: RegExp): Expectation => ({ kind: 'lost', reason })

/** CRIU's own words where nothing better is known before the freeze. */
const anyReason = /./

const expectations: Record<string, Expectation> = {
  affinity: lost(/may run on \d+ CPUs/),
  'eventfd-semaphore': lost(/counts no more by one/),
  keyring: lost(/the key is gone/),
  'mount-overlay': refused(anyReason),
  mqueue: refused(anyReason),
  'namespace-ipc': refused(anyReason),
  'namespace-net': refused(anyReason),
  'namespace-pid': refused(anyReason),
  'namespace-user': refused(anyReason),
  'namespace-uts': refused(anyReason),
  'netlink-unread': refused(anyReason),
  'perf-event': refused(anyReason),
  'pipe-packets': refused(anyReason),
  ptrace: refused(anyReason),
  'tcp-backlog': refused(anyReason),
  'timerfd-periodic': lost(/ticks no more/),
  uninterruptible: refused(anyReason),
}

const notes: Record<string, string> = {
  io_uring: 'a container’s system call filter answers ENOSYS, and programs fall back',
  userfaultfd: 'a container’s system call filter answers ENOSYS, and programs fall back',
  'udp-queued': 'unread datagrams may be lost, as UDP may lose them',
}

export function objectRows(): Row[] {
  const lines = execFileSync(probeProgram, ['list'], { encoding: 'utf8' }).trimEnd().split('\n')
  return lines
    .map((line): Row => {
      const [name = '', what = ''] = line.split('\t')
      const expected = expectations[name] ?? { kind: 'moves' }
      return { name, what, group: 'object', expected, note: notes[name] ?? '' }
    })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}
