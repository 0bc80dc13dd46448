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

/** Before the freeze, in these words. */
const named = (words: string): Expectation => refused(new RegExp(`^NOT_MIGRATABLE: .*${words}`))

const expectations: Record<string, Expectation> = {
  keyring: lost(/the key is gone/),
  'mount-overlay': named('it has a mount of type overlay at /'),
  mqueue: named('has the POSIX message queue /probe'),
  'namespace-ipc': named('has an IPC namespace of its own'),
  'namespace-net': named('has a network namespace of its own'),
  'namespace-pid': named('has a PID namespace'),
  'namespace-user': named('has a user namespace of its own'),
  'namespace-uts': named('has a UTS namespace of its own'),
  'netlink-unread': named('has a netlink socket with unread data'),
  'perf-event': named('has a perf event open'),
  'pipe-packets': named('has a pipe in packet mode'),
  ptrace: named('is traced by another process'),
  'tcp-backlog': named('has connections waiting'),
  uninterruptible: named('is in uninterruptible sleep'),
}

const notes: Record<string, string> = {
  io_uring: 'a container’s system call filter answers ENOSYS, and programs fall back',
  'proc-files': 'a thread’s file that was open tells of the first thread of its process from then on',
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
