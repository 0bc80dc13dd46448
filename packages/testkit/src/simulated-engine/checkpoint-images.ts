// The files that a simulated checkpoint leaves in a directory and a simulated restore reads: small, but real, so that a
// transfer that loses, truncates or mixes up a file is found by the restore.

import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import type { SimulatedMemory } from './record.ts'

/** Size of the file that stands for pages: several stream chunks' worth is not needed, more than one write is. */
const pagesBytes = 96 * 1024

export interface CheckpointImages {
  container: string
  memory: SimulatedMemory
}

export function writeImages(directory: string, images: CheckpointImages): void {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const core = JSON.stringify(images)
  const pages = pagesFor(core)
  writeFileSync(join(directory, 'core-1.img'), core)
  writeFileSync(join(directory, 'pages-1.img'), pages)
  writeFileSync(join(directory, 'inventory.img'), JSON.stringify({ core: digest(core), pages: digest(pages) }))
}

export function readImages(directory: string, container: string): CheckpointImages {
  try {
    const inventory = JSON.parse(readFileSync(join(directory, 'inventory.img'), 'utf8')) as { [file: string]: string }
    const core = readFileSync(join(directory, 'core-1.img'), 'utf8')
    if (digest(core) !== inventory.core) throw new Error('core-1.img is not what was dumped')
    if (digest(readFileSync(join(directory, 'pages-1.img'))) !== inventory.pages) {
      throw new Error('pages-1.img is not what was dumped')
    }
    const images = JSON.parse(core) as CheckpointImages
    if (images.container !== container) throw new Error(`the images are those of ${images.container}`)
    return images
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new DroverError('RESTORE_FAILED', `restore ${container} from ${directory}: ${reason}`, { cause: error })
  }
}

function pagesFor(seed: string): Buffer {
  const block = createHash('sha256').update(seed).digest()
  return Buffer.alloc(pagesBytes, block)
}

function digest(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
