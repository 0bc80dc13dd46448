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
  }
}

/** What can't be meant; null: nothing. */
export function contradiction({ addCapabilities = [], dropCapabilities = [] }: Security): string | null {
  const both = addCapabilities.filter((name) => dropCapabilities.includes(name))
  return both.length === 0 ? null : `${both.join(', ')} cannot be both added and dropped`
}
