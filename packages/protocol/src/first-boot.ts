// What a new container is told at its first boot, in the words of cloud-init. It is kept with the container, so that a copy, which is
// another instance, is told it again. Who may look at a container sees it: it is no place for secrets but hashed ones.

import { type Static, Type } from '@drover/schema'

const mostCharacters = 64 << 10
/** Type, key, and a comment perhaps. */
const sshKeyPattern = '^(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( [^\\n\\r]*)?$'

export const FirstBoot = Type.Object(
  {
    userData: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: mostCharacters,
        description: 'of cloud-init: #cloud-config, a script, …',
      }),
    ),
    vendorData: Type.Optional(
      Type.String({ minLength: 1, maxLength: mostCharacters, description: 'the same, of lower rank' }),
    ),
    sshKeys: Type.Optional(
      Type.Array(Type.String({ pattern: sshKeyPattern, maxLength: 8192 }), {
        maxItems: 64,
        description: 'public keys that may log in as root, or as the image’s usual user where cloud-init has one',
      }),
    ),
  },
  { additionalProperties: false },
)
export type FirstBoot = Static<typeof FirstBoot>

/** How its first boot goes, as its own files inside say; missing: it was told nothing, or its host hasn't said yet. */
export const FirstBootOutcome = Type.Object({
  state: Type.Union([Type.Literal('running'), Type.Literal('done'), Type.Literal('failed')]),
  by: Type.Union([Type.Literal('drover'), Type.Literal('cloud-init')]),
  message: Type.String({ description: 'what it is at, or what has failed; empty: nothing to say' }),
})
export type FirstBootOutcome = Static<typeof FirstBootOutcome>
