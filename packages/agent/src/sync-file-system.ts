// All that has been written to a file system goes to its disk: for trees of many files, before a name says that they are whole.

import { open } from 'node:fs/promises'
import { runCommand } from './images/run-command.ts'

const syncDeadlineMs = 120_000

/** `path`: anything on it. */
export async function syncFileSystem(path: string, signal?: AbortSignal): Promise<void> {
  await runCommand('sync', ['--file-system', path], { deadlineMs: syncDeadlineMs, ...(signal ? { signal } : {}) })
}

/** What a directory holds by name. */
export async function syncNames(directory: string): Promise<void> {
  const held = await open(directory)
  try {
    await held.sync()
  } finally {
    await held.close()
  }
}
