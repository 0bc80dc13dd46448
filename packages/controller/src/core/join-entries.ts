// Entries about who belongs to the cluster: tokens for new hosts, their use, and hosts that leave for good.

import { Name } from '@drover/protocol'
import { Type } from '@drover/schema'
import { entry, OperationId } from './entry-parts.ts'

/** SHA-256 in hex, of a token's secret or of a public key: the log never holds a secret. */
const Hash = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** A token was made; one that the host's name had before is good no more. */
export const HostTokenMade = entry('HostTokenMade', {
  operation: OperationId,
  host: Name,
  secretHash: Hash,
  expiresAtMs: Type.Integer(),
  /** For a host that has joined already. */
  again: Type.Boolean(),
})
export const HostTokenRevoked = entry('HostTokenRevoked', { operation: OperationId, host: Name })
/** A host showed the secret: from now on the token is good for this key alone, so that it may ask again. */
export const HostTokenUsed = entry('HostTokenUsed', {
  host: Name,
  secretHash: Hash,
  keyHash: Hash,
  address: Type.String(),
})
export const HostRemoved = entry('HostRemoved', {
  operation: OperationId,
  host: Name,
  /** Also when images are nowhere else; of one that is dead for sure also when containers are there. */
  force: Type.Boolean(),
})

export const joinEntries = [HostTokenMade, HostTokenRevoked, HostTokenUsed, HostRemoved] as const
