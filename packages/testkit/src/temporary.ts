// Folders of a test's own outside the repository, gone when it ends. A process that a test lets go of may write there for a moment
// longer, so that a folder that was just emptied isn't empty: its removal is begun again, up to a deadline.

import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const deadlineMs = 30_000
const pauseMs = 50

/** `/tmp/drover-NAME-…`, made now and removed after the test. */
export function temporaryDirectory(test: { teardown(end: () => Promise<void>): unknown }, name: string): string {
  const directory = mkdtempSync(join(tmpdir(), `drover-${name}-`))
  test.teardown(() => removeDirectory(directory))
  return directory
}

/** Whatever there is of it; throws ENOTEMPTY if somebody writes there for longer than `withinMs`. */
export async function removeDirectory(directory: string, withinMs = deadlineMs): Promise<void> {
  const end = Date.now() + withinMs
  for (;;) {
    try {
      return await rm(directory, { recursive: true, force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY' || Date.now() > end) throw error
    }
    await sleep(pauseMs)
  }
}
