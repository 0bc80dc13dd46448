// A file takes its place only once what it holds is on the disk: a file system may write the name first, and a power cut would leave an empty
// file there. For what nobody else has a copy of: keys, certificates, a machine's settings. Others wait for the disk meanwhile: not for what
// changes often.

import { closeSync, fsyncSync, openSync, renameSync } from 'node:fs'
import { dirname } from 'node:path'

export function renameDurably(from: string, to: string): void {
  toDisk(from)
  renameSync(from, to)
  toDisk(dirname(to))
}

/** A file, or what a directory holds by name. */
export function toDisk(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
