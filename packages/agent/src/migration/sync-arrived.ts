// What has arrived goes to the disk: the source's copy goes soon after the commit, with all that it once had on its own disk.

import { DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { syncFileSystem, syncNames } from '../sync-file-system.ts'
import type { ArrivingTree } from './arriving-tree.ts'
import { cleanPages } from './clean-pages.ts'
import { scanManifest } from './disk-manifest.ts'

/**
 * All that came before the freeze. A small layer file by file: other containers' files on that disk needn't be waited for (an engine that unpacks one
 * does so itself, but for those of earlier versions).
 */
export async function syncArrived(upper: string, small: boolean, signal: AbortSignal): Promise<void> {
  if (!small) return syncFileSystem(upper, signal)
  await cleanPages(upper, await scanManifest(upper, signal), signal)
  await syncNames(upper)
}

/** The last changes, if there were any. Fails never: it is too late to say no. */
export async function syncLastChanges({ log }: AgentParts, trees: readonly ArrivingTree[]): Promise<void> {
  for (const { root } of trees.filter(({ written }) => written)) {
    await syncFileSystem(root).catch((thrown) =>
      log.warn({ root, error: DroverError.from(thrown).message }, 'write the last changes of a move to the disk'),
    )
  }
}
