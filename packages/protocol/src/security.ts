// What a container may do beyond, or not even of, what every container may. Chosen at launch; all but `privileged` can be changed while it
// is stopped, and is in force from its next start on. A live move carries it.

import { type Static, Type } from '@drover/schema'
import { capabilityNames } from './capability-names.ts'

const Capabilities = (description: string) =>
  Type.Array(Type.Unsafe<string>({ type: 'string', enum: capabilityNames }), {
    uniqueItems: true,
    maxItems: capabilityNames.length,
    description,
  })

const SystemCalls = (description: string) =>
  Type.Array(Type.String({ pattern: '^[a-z0-9_]{1,64}$' }), { uniqueItems: true, maxItems: 512, description })

export const Security = Type.Object(
  {
    addCapabilities: Type.Optional(Capabilities('kept, although containers usually lack them')),
    dropCapabilities: Type.Optional(Capabilities('taken away for good')),
    nesting: Type.Optional(
      Type.Boolean({ description: 'containers inside: they may mount proc and sysfs of their own' }),
    ),
    privileged: Type.Optional(
      Type.Boolean({ description: 'no user namespace: its root is the host’s. Chosen at launch, once and for all' }),
    ),
    addressFilter: Type.Optional(
      Type.Boolean({ description: 'false: packets with other addresses than its own may leave it' }),
    ),
    denySyscalls: Type.Optional(
      SystemCalls('system calls that fail with ENOSYS, beside those that fail in every container'),
    ),
    allowSyscalls: Type.Optional(SystemCalls('system calls that work, although they fail in every other container')),
  },
  { additionalProperties: false },
)
export type Security = Static<typeof Security>

/** With nothing left out, and capabilities in the order of their numbers: two that mean the same are the same. */
export function wholeSecurity(security: Security = {}): Required<Security> {
  const inOrder = (names: string[] = []) => capabilityNames.filter((name) => names.includes(name))
  return {
    addCapabilities: inOrder(security.addCapabilities),
    dropCapabilities: inOrder(security.dropCapabilities),
    nesting: security.nesting ?? false,
    privileged: security.privileged ?? false,
    addressFilter: security.addressFilter ?? true,
    denySyscalls: [...(security.denySyscalls ?? [])].sort(),
    allowSyscalls: [...(security.allowSyscalls ?? [])].sort(),
  }
}

/** What can't be meant; null: nothing. */
export function contradiction(security: Security): string | null {
  const { addCapabilities = [], dropCapabilities = [], denySyscalls = [], allowSyscalls = [] } = security
  const both = addCapabilities.filter((name) => dropCapabilities.includes(name))
  if (both.length > 0) return `${both.join(', ')} cannot be both added and dropped`
  const calls = denySyscalls.filter((name) => allowSyscalls.includes(name))
  return calls.length === 0 ? null : `${calls.join(', ')} cannot be both denied and allowed`
}
