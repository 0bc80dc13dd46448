// Bandwidth limits of a move: its own, and its share of each host's link. They hold for what goes ahead while the container runs; what is
// left after the freeze is not held back, since users wait for it.

import type { MoveTerms } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { Pace } from '../streams/pace.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'

export function throttleSource(
  { links }: AgentParts,
  connection: StreamConnection,
  { bandwidthBytesPerS, hostBytesPerS }: MoveTerms = {},
): void {
  links.outgoing.limit(hostBytesPerS ?? null)
  const paces = hostBytesPerS === undefined ? [] : [links.outgoing]
  if (bandwidthBytesPerS !== undefined) paces.push(new Pace(bandwidthBytesPerS))
  connection.throttleSending(paces.map((pace) => pace.flow()))
}

/** Several sources may send to one host at once. */
export function throttleDestination(
  { links }: AgentParts,
  connection: StreamConnection,
  { hostBytesPerS }: MoveTerms = {},
): void {
  links.incoming.limit(hostBytesPerS ?? null)
  connection.throttleReceiving(hostBytesPerS === undefined ? null : links.incoming.flow())
}
