// `CONTAINER` or `CONTAINER/SNAPSHOT` on the command line.

import { parseName } from './names.ts'

export interface SnapshotPlace {
  container: string
  snapshot: string | null
}

export function parseSnapshotPlace(text: string): SnapshotPlace {
  const slash = text.indexOf('/')
  if (slash < 0) return { container: parseName(text), snapshot: null }
  return { container: parseName(text.slice(0, slash)), snapshot: parseName(text.slice(slash + 1)) }
}
