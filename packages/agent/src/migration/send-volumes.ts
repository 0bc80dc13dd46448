// The volumes of a container that moves, from the source: each is a tree of its own, sent behind the disk while the container runs, and in
// the blackout again what has changed. As the disk they are compared before anything is restored.

import { type Assignment, DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { volumesOf } from '../reconcile/engine-devices.ts'
import type { VolumeSum } from '../streams/messages.ts'
import type { StreamConnection } from '../streams/stream-connection.ts'
import { cleanPages } from './clean-pages.ts'
import { socketsOf } from './disk-delta.ts'
import { restlessDirectories, scanManifest, sizeOf } from './disk-manifest.ts'
import { type Delta, type SentTree, scanDelta, sendArchive, sendDelta } from './send-delta.ts'
import type { MigrationSession } from './session.ts'
import { startPrecopyArchive } from './tar-process.ts'
import { TreeCheck } from './tree-check.ts'

export interface SentVolume extends SentTree {
  id: string
}
type Moving = Pick<Assignment, 'container' | 'epoch' | 'name' | 'volumes'>

/** `takes`: what the destination said of itself. */
export async function sendVolumes(
  parts: AgentParts,
  session: MigrationSession,
  connection: StreamConnection,
  assignment: Moving,
  takes: boolean,
): Promise<SentVolume[]> {
  const volumes = volumesOf(assignment)
  if (volumes.length > 0 && !(takes && parts.mirror.hello?.volumes === true)) {
    const why = takes ? `the engine of ${parts.host}` : 'the destination'
    throw new DroverError('NOT_MIGRATABLE', `move ${assignment.name}: it has volumes, which ${why} can't move yet`)
  }
  const sent: SentVolume[] = []
  session.figures.volume_bytes = 0
  for (const volume of volumes) {
    const root = parts.volumes.path(volume)
    const manifest = await scanManifest(root, session.signal)
    await cleanPages(root, manifest, session.signal)
    await connection.sendMessage({ kind: 'volume', id: volume.id, sockets: socketsOf(manifest) })
    await sendArchive(connection, startPrecopyArchive(session, root))
    session.figures.volume_bytes += sizeOf(manifest)
    const restless = restlessDirectories(root, manifest)
    const tree = await TreeCheck.begin(parts, session, assignment, { directory: root })
    sent.push({ id: volume.id, connection, root, manifest, restless, tree, filesAhead: null, figures: {} })
  }
  return sent
}

export const scanVolumes = (session: MigrationSession, volumes: readonly SentVolume[]): Promise<Delta[]> =>
  Promise.all(volumes.map((volume) => scanDelta(session, volume)))

export async function sendVolumeDeltas(
  session: MigrationSession,
  volumes: readonly SentVolume[],
  deltas: readonly Delta[],
): Promise<VolumeSum[]> {
  const sums: VolumeSum[] = []
  for (const [at, volume] of volumes.entries()) {
    await volume.connection.sendMessage({ kind: 'volume-delta', id: volume.id })
    const tree = await sendDelta(session, volume, deltas[at] as Delta)
    if (tree === null) throw new DroverError('INTERNAL', `move: volume ${volume.id} was sent without its hash`)
    sums.push({ id: volume.id, tree })
  }
  return sums
}
