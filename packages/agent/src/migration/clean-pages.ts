// Writes dirty pages of a layer's files back. A page of a shared mapping that is dirty already can be written again without the file's
// times changing; once it is clean, the next write faults and shows. So: scan, clean, copy; whatever is written after the scan is in
// the copy or the delta.

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { runCommand } from '../images/run-command.ts'
import { type Manifest, pathBytes } from './disk-manifest.ts'

/** Up to so many files one by one; beyond, the whole file system, with what all its other containers have written. */
const mostFiles = 64
const syncDeadlineMs = 60_000
/** What has become of a file since it was seen is not waited for, and not followed. */
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export async function cleanPages(upper: string, manifest: Manifest, signal: AbortSignal): Promise<void> {
  const files = [...manifest].filter(([, { type, sizeBytes }]) => type === 'file' && sizeBytes > 0n)
  if (files.length > mostFiles)
    return runCommand('sync', ['--file-system', upper], { deadlineMs: syncDeadlineMs, signal })
  await Promise.all(files.map(([path]) => cleanFile(pathBytes(upper, path))))
}

async function cleanFile(path: Buffer): Promise<void> {
  const file = await open(path, flags).catch(() => null)
  try {
    await file?.datasync()
  } finally {
    await file?.close()
  }
}
