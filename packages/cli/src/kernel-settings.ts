// `sysctl.NAME=VALUE` and `rlimit.NAME=SOFT:HARD` of `drover set`, and the same as options of a launch.

import type { Rlimit, SetRequest } from '@drover/protocol'
import { rlimitNames, sysctlPattern } from '@drover/protocol/plain'
import { type Command, InvalidArgumentError } from 'commander'
import { parseBytes } from './output/sizes.ts'

export const kernelKeys: readonly { key: string; meaning: string }[] = [
  { key: 'sysctl.NAME', meaning: 'a variable of its own namespaces, sysctl.net.ipv4.ip_forward=1' },
  {
    key: 'rlimit.NAME',
    meaning:
      'how far each process may go, rlimit.nofile=1024:65536 (soft:hard), or both at once; of all of setrlimit(2)',
  },
]

export interface KernelFlags {
  sysctl?: NonNullable<SetRequest['sysctls']>
  rlimit?: NonNullable<SetRequest['rlimits']>
}

export function addKernelOptions(command: Command): void {
  command
    .option('--sysctl <NAME=VALUE>', 'set a variable of its own namespaces before init runs; repeatable', parseSysctl)
    .option(
      '--rlimit <NAME=SOFT[:HARD]>',
      'how far each process may go, e.g. nofile=65536; repeatable',
      (text: string, before: KernelFlags['rlimit'] = {}) => ({ ...before, ...parseRlimit(text) }),
    )
}

/** Null: the key is none of these. */
export function parseKernelSetting(text: string, before: SetRequest): SetRequest | null {
  if (text.startsWith('sysctl.'))
    return { ...before, sysctls: parseSysctl(text.slice('sysctl.'.length), before.sysctls) }
  if (text.startsWith('rlimit.'))
    return { ...before, rlimits: { ...before.rlimits, ...parseRlimit(text.slice('rlimit.'.length)) } }
  return null
}

const ownVariable = new RegExp(sysctlPattern)

function parseSysctl(text: string, before: SetRequest['sysctls'] = {}): NonNullable<SetRequest['sysctls']> {
  const at = text.indexOf('=')
  const name = text.slice(0, at)
  if (at < 1 || !ownVariable.test(name)) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not NAME=VALUE with a variable of a container's own: net.…, fs.mqueue.…, or one of System V IPC, kernel.shmmax, kernel.sem, … E.g. net.ipv4.ip_forward=1.`,
    )
  }
  const value = text.slice(at + 1).trim()
  return { ...before, [name]: value === 'none' ? null : value }
}

function parseRlimit(text: string): NonNullable<SetRequest['rlimits']> {
  const match = /^([a-z]+)=([^:]+)(?::([^:]+))?$/.exec(text)
  const name = match?.[1] ?? ''
  if (!match || !rlimitNames.some((known) => known === name)) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} is not NAME=SOFT:HARD with one of the names ${rlimitNames.join(', ')}.`,
    )
  }
  if (match[2] === 'none') return { [name]: null }
  const soft = parseBound(match[2] ?? '')
  const limit: Rlimit = { soft, hard: match[3] === undefined ? soft : parseBound(match[3]) }
  if (limit.hard !== null && (limit.soft === null || limit.soft > limit.hard))
    throw new InvalidArgumentError(`${JSON.stringify(text)}: the soft limit is above the hard one.`)
  return { [name]: limit }
}

function parseBound(text: string): number | null {
  if (text === 'unlimited') return null
  if (/^\d+$/.test(text)) return Number(text)
  if (!/^\d/.test(text))
    throw new InvalidArgumentError(`${JSON.stringify(text)} is no bound: write a number, a size, or unlimited.`)
  return parseBytes(text)
}
