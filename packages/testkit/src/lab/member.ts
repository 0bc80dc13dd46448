// A member of a laboratory: a process that holds the namespaces of a host, of the fabric or of the client, and the command
// prefix that runs a program in there.

import { spawn } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { identify, type ProcessIdentity } from '@drover/cli/daemons'
import { DroverError } from '@drover/protocol'

/** full: network, mount and cgroup namespaces; network: only that. */
export type MemberKind = 'full' | 'network'

export interface Member {
  name: string
  kind: MemberKind
  holder: ProcessIdentity
  cgroups: string[]
}

export const shellDirectory = fileURLToPath(new URL('../../shell', import.meta.url))
const holderDeadlineMs = 60_000

export async function holdMember(label: string, name: string, kind: MemberKind, cgroups: string[]): Promise<Member> {
  const child = spawn('bash', [join(shellDirectory, 'host-holder.sh'), `${label}-${name}`, kind, ...cgroups], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
  })
  let complaint = ''
  child.stderr.on('data', (data: Buffer) => {
    complaint += data.toString()
  })
  const ready = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), holderDeadlineMs)
    const done = (answer: boolean) => {
      clearTimeout(timer)
      resolve(answer)
    }
    createInterface({ input: child.stdout }).on('line', (line) => done(line === 'ready'))
    child.on('exit', () => done(false))
    child.on('error', () => done(false))
  })
  const holder = child.pid === undefined ? null : identify(child.pid)
  if (!ready || holder === null) {
    child.kill('SIGKILL')
    throw new DroverError(
      'INTERNAL',
      `make laboratory host ${name}: ${complaint.trim() || 'its holder did not come up'}`,
    )
  }
  child.stdout.destroy()
  child.stderr.destroy()
  child.unref()
  return { name, kind, holder, cgroups }
}

/** What goes before a command to run it in there; it keeps the pid. */
export function prefixFor(member: Member): string[] {
  const leaves = member.cgroups.map((directory) => join(directory, 'daemons'))
  return ['bash', join(shellDirectory, 'enter-host.sh'), String(member.holder.pid), member.kind, ...leaves, '--']
}

export function namespacesOf(member: Member): string[] {
  const kinds = member.kind === 'full' ? ['net', 'mnt', 'cgroup'] : ['net']
  return kinds.map((kind) => readlinkSync(`/proc/${member.holder.pid}/ns/${kind}`))
}
