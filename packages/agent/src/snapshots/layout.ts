// Where snapshots lie: beside the writable layer that they are of, in the engine's directory of the container, so that they go when the
// container goes. `<snapshot>/disk` is the tree, `memory` CRIU's images, `snapshot.json` what is known of it. One that is being made
// has a name with a dot in front and counts for nothing.

import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

export interface SnapshotFacts {
  /** The operation that made it: doing it again is nothing to do. */
  operation: string
  sizeBytes: number
  memory: boolean
  startedAtMs: number | null
  starts: number
  figures: Record<string, number>
}

export const snapshotsDirectory = (upper: string): string => join(dirname(upper), 'snapshots')
/** Where a new disk is made ready for the engine's replaceDisk. */
export const incomingDirectory = (upper: string): string => join(dirname(upper), 'incoming')

export const snapshotPlace = (upper: string, name: string) => {
  const directory = join(snapshotsDirectory(upper), name)
  return {
    directory,
    disk: join(directory, 'disk'),
    memory: join(directory, 'memory'),
    facts: join(directory, 'snapshot.json'),
    manifest: join(directory, 'manifest.json'),
  }
}

export function snapshotNames(upper: string): string[] {
  const directory = snapshotsDirectory(upper)
  if (!existsSync(directory)) return []
  return readdirSync(directory).filter((name) => !name.startsWith('.'))
}

/** Null when it isn't there. */
export function readFacts(upper: string, name: string): SnapshotFacts | null {
  try {
    return JSON.parse(readFileSync(snapshotPlace(upper, name).facts, 'utf8')) as SnapshotFacts
  } catch {
    return null
  }
}

/** First out of sight by its record, then for good: one that is half removed is none. */
export function removeSnapshot(upper: string, name: string): void {
  const { directory, facts } = snapshotPlace(upper, name)
  rmSync(facts, { force: true })
  rmSync(directory, { recursive: true, force: true })
}
