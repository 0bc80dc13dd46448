// The bounds that both logs share. Every one of them turns overload into a named refusal instead of memory.

import { DroverError } from '@drover/protocol'

/** An entry is one decision of the controller, a few hundred bytes; what is this large is a defect or an attack. */
export const MAX_ENTRY_BYTES = 4 * 1024 * 1024

/** Proposals that wait at once. At 64 concurrent API calls the queue holds tens; beyond this the leader is not keeping up. */
export const MAX_PENDING_PROPOSALS = 4096

export function checkEntry(entry: Uint8Array, pending: number): void {
  if (entry.byteLength === 0 || entry.byteLength > MAX_ENTRY_BYTES) {
    throw new DroverError(
      'TOO_LARGE',
      `propose an entry of ${entry.byteLength} bytes: 1 to ${MAX_ENTRY_BYTES} are allowed`,
      {
        context: { bytes: entry.byteLength, limit: MAX_ENTRY_BYTES },
      },
    )
  }
  if (pending >= MAX_PENDING_PROPOSALS) {
    throw new DroverError('LIMIT_REACHED', `propose an entry: ${pending} proposals wait already, the limit`, {
      context: { pending, limit: MAX_PENDING_PROPOSALS },
    })
  }
}
