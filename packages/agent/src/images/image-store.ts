// The images that this host holds: <data>/images/sha256-<hex>/{rootfs/, layer.tar, image.json}. The digest is the SHA-256 of layer.tar,
// a canonical tar of the root file system; rootfs is that tar unpacked. An image appears by one rename, so a half-made one is never
// seen; what a crash left in staging is removed at start. (The colon of a digest is not used in paths: overlayfs separates by it.)

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { syncFileSystem, syncNames } from '../sync-file-system.ts'

export interface ImageRecord {
  digest: string
  name: string
  sizeBytes: number
  init: string[]
}

const digestPattern = /^sha256:[0-9a-f]{64}$/

export class ImageStore {
  readonly #root: string
  #records = new Map<string, ImageRecord>()

  constructor(dataDirectory: string) {
    this.#root = join(dataDirectory, 'images')
    mkdirSync(this.#root, { recursive: true, mode: 0o755 })
    for (const entry of readdirSync(this.#root)) {
      if (entry.startsWith('staging-')) rmSync(join(this.#root, entry), { recursive: true, force: true })
      else this.#loadRecord(entry)
    }
  }

  has(digest: string): boolean {
    return this.#records.has(digest)
  }

  digests(): string[] {
    return [...this.#records.keys()].sort()
  }

  get(digest: string): ImageRecord {
    const record = this.#records.get(digest)
    if (!record) throw new DroverError('IMAGE_NOT_FOUND', `image ${digest} is not on this host`)
    return record
  }

  rootfs(digest: string): string {
    return join(this.#directory(digest), 'rootfs')
  }

  layer(digest: string): string {
    return join(this.#directory(digest), 'layer.tar')
  }

  /** A new empty directory in which an image can be put together; pass it to publish or discard. */
  stage(): string {
    const directory = join(this.#root, `staging-${randomBytes(6).toString('hex')}`)
    mkdirSync(directory, { mode: 0o755 })
    return directory
  }

  /** Makes a staged directory (holding rootfs and layer.tar) the image `record`. An image that is there already stays. */
  async publish(staged: string, record: ImageRecord): Promise<void> {
    checkDigest(record.digest)
    const directory = this.#directory(record.digest)
    if (!this.has(record.digest)) {
      writeFileSync(join(staged, 'image.json'), JSON.stringify(record))
      // What it holds isn't compared with its digest again: what a power cut left of it would be taken for whole.
      await syncFileSystem(staged)
      if (!this.has(record.digest) && existsSync(directory)) await rm(directory, { recursive: true, force: true })
    }
    // Perhaps since then.
    if (this.has(record.digest)) return this.discard(staged)
    renameSync(staged, directory)
    this.#records.set(record.digest, record)
    await syncNames(this.#root)
  }

  /**
   * Of the images that the controller has named at some time, those that it names no more go: nothing uses them. Others are none of its
   * business yet: just built, or laid here beforehand.
   */
  keepOnly(digests: readonly string[]): void {
    const named = new Set(digests)
    for (const digest of this.digests()) {
      const mark = join(this.#directory(digest), 'named')
      if (named.has(digest)) {
        if (!existsSync(mark)) writeFileSync(mark, '')
      } else if (existsSync(mark)) {
        this.#records.delete(digest)
        // Its mark goes last with it: what a crash leaves is gone over by the next agent as no whole image.
        rmSync(join(this.#directory(digest), 'image.json'), { force: true })
        void rm(this.#directory(digest), { recursive: true, force: true }).catch(() => {})
      }
    }
  }

  async discard(staged: string): Promise<void> {
    await rm(staged, { recursive: true, force: true })
  }

  #directory(digest: string): string {
    checkDigest(digest)
    return join(this.#root, digest.replace(':', '-'))
  }

  #loadRecord(entry: string): void {
    const digest = entry.replace('-', ':')
    if (!digestPattern.test(digest)) return
    try {
      const record = JSON.parse(readFileSync(join(this.#root, entry, 'image.json'), 'utf8')) as ImageRecord
      if (record.digest === digest && existsSync(join(this.#root, entry, 'rootfs'))) this.#records.set(digest, record)
    } catch {
      // Not a whole image: it is fetched or built again when somebody wants it.
    }
  }
}

/** A digest comes from the network and becomes a path: nothing but the one form is let through. */
export function checkDigest(digest: string): void {
  if (!digestPattern.test(digest))
    throw new DroverError('BAD_REQUEST', `image digest ${digest.slice(0, 80)} is not sha256:<64 hex digits>`)
}
