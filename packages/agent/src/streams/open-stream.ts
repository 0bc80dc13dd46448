// Connects to another agent's stream server and says hello.

import { type Peer, protocolVersion } from '@drover/protocol'
import type { Access } from '../tls.ts'
import { StreamConnection } from './stream-connection.ts'
import { dial } from './transport.ts'

export type StreamPurpose =
  | { kind: 'image'; digest: string }
  | {
      kind: 'disk'
      operation: string
      container: string
      snapshot: string | null
      upload?: { id: string; sha256: string }
    }
  | { kind: 'migration'; operation: string; container: string }

export async function openStream(peer: Peer, access: Access, purpose: StreamPurpose): Promise<StreamConnection> {
  const connection = new StreamConnection(await dial(peer.address, peer.streamPort, access.tls))
  // We chose whom to call: what it answers may be as large as a frame may be.
  connection.trust()
  await sayHello(connection, access, purpose)
  return connection
}

/** The first message of each stream. */
export function sayHello(connection: StreamConnection, access: Access, purpose: StreamPurpose): Promise<void> {
  return connection.sendMessage({ protocolVersion, secret: access.secret, ...purpose })
}
