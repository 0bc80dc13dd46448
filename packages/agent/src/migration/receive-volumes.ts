// The volumes of a container that arrives: each into a directory of its own, which counts for nothing until the move is committed.

import { type Assignment, DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import type { StreamMessage, VolumeSum } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { syncFileSystem } from '../sync-file-system.ts'
import { makeSockets } from './apply-delta.ts'
import { ArrivingTree } from './arriving-tree.ts'
import { receiveArchive } from './receive-archive.ts'
import type { MigrationSession } from './session.ts'
import { startExtraction } from './tar-process.ts'
import { requireSameTree, TreeCheck } from './tree-check.ts'

interface Receiving {
  parts: AgentParts
  session: MigrationSession
  connection: StreamConnection
  assignment: Assignment
}

export async function receiveVolume(
  { parts, session, connection, assignment }: Receiving,
  { id, sockets }: Extract<StreamMessage, { kind: 'volume' }>,
): Promise<ArrivingTree> {
  const assigned = assignment.volumes?.[id]
  if (!assigned) throw new DroverError('BAD_REQUEST', `move ${assignment.name}: volume ${id} came, which it has not`)
  const directory = await parts.volumes.receive({ id, copy: assigned.copy })
  await makeSockets(directory, sockets)
  await receiveArchive(connection, startExtraction(session, directory))
  // The other host's copy goes soon after the commit: all but the last changes is on the disk by then.
  await syncFileSystem(directory, session.signal)
  const { container, epoch } = assignment
  return new ArrivingTree(directory, await TreeCheck.begin(parts, session, { container, epoch }, { directory }), {})
}

/** All that it has, and each the one that was sent: else it isn't restored. */
export async function requireSameVolumes(
  { name, volumes = {} }: Assignment,
  arrived: ReadonlyMap<string, ArrivingTree>,
  sent: readonly VolumeSum[] = [],
): Promise<void> {
  const sums = new Map(sent.map(({ id, tree }) => [id, tree]))
  for (const id of Object.keys(volumes)) {
    const [sum, here] = [sums.get(id), arrived.get(id)]
    if (!sum || !here) throw new DroverError('DISK_DIFFERS', `move ${name}: volume ${id} has not arrived`)
    requireSameTree(`move ${name}: volume ${id}`, sum, await here.sum())
  }
}
