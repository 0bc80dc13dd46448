// Archives for tests, entry by entry: also such as no tar program would make.

import { writeFileSync } from 'node:fs'
import type { TarEntry } from '../src/images/tar-reader.ts'
import { tarEnd, tarHeader, tarPadding } from '../src/images/tar-writer.ts'

export type Given = Partial<TarEntry> & { path: string; content?: string }

export const tarEntry = ({ content = '', ...more }: Given): TarEntry => ({
  type: 'file',
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: content.length,
  mtimeSeconds: 1_600_000_000,
  linkPath: '',
  deviceMajor: 0,
  deviceMinor: 0,
  attributes: new Map(),
  offset: 0,
  ...more,
})

export function writeTar(path: string, entries: Given[]): string {
  const parts = entries.flatMap((given) => {
    const entry = tarEntry(given)
    return [tarHeader(entry), Buffer.from(given.content ?? ''), tarPadding(entry.sizeBytes)]
  })
  writeFileSync(path, Buffer.concat([...parts, tarEnd()]))
  return path
}
