// Settings of the kernel that belong to one container: variables of its own network and IPC namespaces (sysctl), and how far each of its
// processes may go (setrlimit(2)). What a variable means, the kernel says; which ones are a container's own, it says too, when they are set.

import { type Static, Type } from '@drover/schema'
import { rlimitNames } from './rlimit-names.ts'
import { sysctlPattern } from './sysctl-names.ts'

const SysctlName = Type.String({ pattern: sysctlPattern })
const SysctlValue = Type.String({ pattern: '^[ -~]{1,1024}$', description: 'as it is written into /proc/sys' })
const bounds = { additionalProperties: false, maxProperties: 64 }
export const Sysctls = Type.Record(SysctlName, SysctlValue, bounds)
export type Sysctls = Static<typeof Sysctls>
/** null: no longer set; it keeps its value until the next start. */
export const SysctlChange = Type.Record(SysctlName, Type.Union([SysctlValue, Type.Null()]), bounds)

const Bound = Type.Union([Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }), Type.Null()], {
  description: 'in the unit of setrlimit(2); null: none',
})
export const Rlimit = Type.Object({ soft: Bound, hard: Bound }, { additionalProperties: false })
export type Rlimit = Static<typeof Rlimit>

const RlimitKey = Type.String({ pattern: `^(${rlimitNames.join('|')})$` })
export const Rlimits = Type.Record(RlimitKey, Rlimit, bounds)
export type Rlimits = Static<typeof Rlimits>
/** null: no longer set; processes keep theirs until the next start. */
export const RlimitChange = Type.Record(RlimitKey, Type.Union([Rlimit, Type.Null()]), bounds)

/** A sysctl has one name with dots and one with slashes: the parts of its path below /proc/sys. Null: it is none of a container's own. */
export function sysctlParts(name: string): string[] | null {
  if (!new RegExp(sysctlPattern).test(name)) return null
  const slash = name.indexOf('/')
  const dot = name.indexOf('.')
  const parts = slash >= 0 && (dot < 0 || slash < dot) ? name.split('/') : name.split('.').map(swapped)
  return parts.some((part) => part === '' || part === '.' || part === '..') ? null : parts
}

/** Between dots, a slash stands for a dot. */
const swapped = (part: string) => part.replaceAll('/', '.')

/** What can't be meant of these; null: nothing. */
export function kernelSettingsProblem(
  sysctls: Readonly<Record<string, unknown>> = {},
  rlimits: Readonly<Record<string, Rlimit | null>> = {},
): string | null {
  const unknown = Object.keys(sysctls).find((name) => sysctlParts(name) === null)
  if (unknown !== undefined) return `sysctls: ${unknown} is no variable of a container's own namespaces`
  const paths = Object.keys(sysctls).map((name) => sysctlParts(name)?.join('/'))
  const twice = paths.find((path, at) => paths.indexOf(path) !== at)
  if (twice !== undefined) return `sysctls: ${twice} is there twice, with dots and with slashes`
  for (const [name, limit] of Object.entries(rlimits)) {
    if (limit === null || limit.hard === null) continue
    if (limit.soft === null || limit.soft > limit.hard)
      return `rlimits: ${name}: the soft limit ${limit.soft ?? 'unlimited'} is above the hard one, ${limit.hard}`
  }
  return null
}
