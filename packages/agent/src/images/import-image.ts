// An archive from elsewhere becomes an image: a root file system, a unified or split image of LXD or Incus, an OCI layout, or a docker
// archive. What it is, its entries say. Everything is unpacked through the guard (tar-guard.ts) into a staging directory, and packed
// again as the image's one layer.

import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync } from 'node:fs'
import { chmod, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { applyLayer } from './apply-layer.ts'
import { commandOf, dockerManifestOf, layersOf, manifestOf, propertiesOf } from './image-metadata.ts'
import type { ImageRecord, ImageStore } from './image-store.ts'
import { packLayer, unpackLayer } from './layer.ts'
import { plainArchive } from './plain-archive.ts'
import { TarGuard, usualBounds } from './tar-guard.ts'
import { badArchive, readTar } from './tar-reader.ts'

export interface Import {
  /** The archive, a file that nobody changes. */
  path: string
  name: string
  /** null: as the archive or its files say. */
  init: string[] | null
}

/** The names under which `drover image import METADATA ROOTFS` sends both in one archive. */
export const splitNames = { metadata: 'drover-split-metadata', rootfs: 'drover-split-rootfs' }
/** Of metadata.yaml and the JSON of OCI. */
const maxDocumentBytes = 4 << 20
const inits = ['sbin/init', 'usr/sbin/init', 'lib/systemd/systemd', 'usr/lib/systemd/systemd', 'init']
/** What the engine mounts on or writes into. */
const folders: [path: string, mode: number][] = [
  ['dev', 0o755],
  ['etc', 0o755],
  ['proc', 0o555],
  ['run', 0o755],
  ['sys', 0o555],
  ['tmp', 0o1777],
]

interface Work {
  images: ImageStore
  staged: string
  draft: string
  what: string
  progress: (message: string) => void
  signal: AbortSignal
}
interface Found {
  kind: string
  properties: Record<string, string>
  init: string[]
}

export interface Imported extends ImageRecord {
  properties: Record<string, string>
}

export async function importImage(
  images: ImageStore,
  { path, name, init }: Import,
  progress: (message: string) => void,
  signal: AbortSignal,
): Promise<Imported> {
  const what = `image ${name}`
  const staged = images.stage()
  try {
    const draft = join(staged, 'draft')
    mkdirSync(draft, { mode: 0o755 })
    const work: Work = { images, staged, draft, what, progress, signal }
    progress('unpacking')
    const guard = new TarGuard(what)
    const found = await fill(work, await plain(work, path, 'archive'), guard)
    const started = init ?? initOf(draft, found)
    await makeFolders(draft)
    const left = guard.leftOut > 0 ? `, ${guard.leftOut} device nodes left out` : ''
    progress(`packing what was ${found.kind}${left}`)
    const record = await publishDraft(work, name, started, guard.newestSeconds)
    return { ...record, properties: found.properties }
  } catch (thrown) {
    await images.discard(staged)
    throw thrown
  }
}

/** The draft as the image's layer and its unpacked self. */
export async function publishDraft(
  { images, staged, draft }: Pick<Work, 'images' | 'staged' | 'draft'>,
  name: string,
  init: string[],
  newestSeconds: number,
): Promise<ImageRecord> {
  const layer = join(staged, 'layer.tar')
  const { digest, sizeBytes } = await packLayer(draft, layer, 'kept', newestSeconds)
  await rm(draft, { recursive: true, force: true })
  await unpackLayer(layer, join(staged, 'rootfs'))
  const record = { digest, name, sizeBytes, init }
  await images.publish(staged, record)
  return record
}

/** By what its first level holds. */
async function fill(work: Work, archive: string, guard: TarGuard): Promise<Found> {
  const { what, draft, signal } = work
  const names = await firstLevel(archive, what)
  if (names.has(splitNames.metadata) && names.has(splitNames.rootfs)) return fillSplit(work, archive, guard)
  if (names.has('metadata.yaml') && names.has('rootfs')) {
    const properties = propertiesOf(await document(archive, 'metadata.yaml', what), what)
    await applyLayer(archive, draft, guard, what, { below: 'rootfs', signal })
    return { kind: 'an image of LXD or Incus', properties, init: [] }
  }
  if (names.has('metadata.yaml'))
    throw badArchive(what, 'metadata without a rootfs; give the other file of the image too')
  if (names.has('oci-layout') && names.has('index.json')) return fillOci(work, archive, guard)
  if (names.has('manifest.json') && !names.has('etc')) return fillDocker(work, archive, guard)
  await applyLayer(archive, draft, guard, what, { signal })
  return { kind: 'a root file system', properties: {}, init: [] }
}

async function fillSplit(work: Work, archive: string, guard: TarGuard): Promise<Found> {
  const { what, draft, signal, staged } = work
  await member(archive, splitNames.metadata, join(staged, 'metadata'), what)
  const metadata = await plain(work, join(staged, 'metadata'), 'metadata')
  const properties = propertiesOf(await document(metadata, 'metadata.yaml', what), what)
  await member(archive, splitNames.rootfs, join(staged, 'rootfs-packed'), what)
  await applyLayer(await plain(work, join(staged, 'rootfs-packed'), 'rootfs'), draft, guard, what, { signal })
  return { kind: 'a split image of LXD or Incus', properties, init: [] }
}

async function fillOci(work: Work, archive: string, guard: TarGuard): Promise<Found> {
  const { what } = work
  const blob = (digest: string) => `blobs/${digest.replace(':', '/')}`
  const read = (digest: string) => document(archive, blob(digest), what, digest)
  let manifest = layersOf(await read(manifestOf(await document(archive, 'index.json', what), what)), what)
  if (manifest.index) {
    // An index in the index: of several architectures.
    const inner = await read(manifestOf(await document(archive, 'index.json', what), what))
    manifest = layersOf(await read(manifestOf(inner, what)), what)
  }
  const init = commandOf(await read(manifest.config), what)
  for (const [index, layer] of manifest.layers.entries())
    await fillLayer(work, archive, blob(layer), guard, [index + 1, manifest.layers.length], layer)
  return { kind: 'an OCI image', properties: {}, init }
}

async function fillDocker(work: Work, archive: string, guard: TarGuard): Promise<Found> {
  const { config, layers } = dockerManifestOf(await document(archive, 'manifest.json', work.what), work.what)
  const init = commandOf(await document(archive, config, work.what), work.what)
  for (const [index, layer] of layers.entries())
    await fillLayer(work, archive, layer, guard, [index + 1, layers.length], null)
  return { kind: 'a docker archive', properties: {}, init }
}

async function fillLayer(
  work: Work,
  archive: string,
  name: string,
  guard: TarGuard,
  [number, of]: [number, number],
  digest: string | null,
): Promise<void> {
  const { staged, draft, what, signal, progress } = work
  progress(`unpacking layer ${number} of ${of}`)
  const packed = join(staged, 'layer-packed')
  await member(archive, name, packed, what, digest)
  const layer = await plain(work, packed, 'layer')
  await applyLayer(layer, draft, guard, what, { whiteouts: 'oci', signal })
}

const plain = async ({ staged, what, signal }: Work, path: string, name: string): Promise<string> => {
  await chmod(path, 0o644)
  return plainArchive(path, join(staged, `${name}.tar`), what, usualBounds.totalBytes, signal)
}

async function firstLevel(archive: string, what: string): Promise<Set<string>> {
  const file = await open(archive, 'r')
  const names = new Set<string>()
  try {
    let entries = 0
    for await (const { path } of readTar(file, what)) {
      if (++entries > usualBounds.entries) throw badArchive(what, `more than ${usualBounds.entries} entries`)
      const first = path.split('/').find((part) => part !== '' && part !== '.')
      if (first !== undefined) names.add(first)
    }
  } finally {
    await file.close()
  }
  if (names.size === 0) throw badArchive(what, 'it is empty')
  return names
}

async function document(archive: string, name: string, what: string, digest: string | null = null): Promise<string> {
  const found = await find(archive, name, what)
  try {
    if (found.sizeBytes > maxDocumentBytes) throw badArchive(what, `${name} is larger than ${maxDocumentBytes} bytes`)
    const bytes = Buffer.alloc(found.sizeBytes)
    await found.file.read(bytes, 0, bytes.length, found.offset)
    checkSame(createHash('sha256').update(bytes).digest('hex'), digest, name, what)
    return bytes.toString('utf8')
  } finally {
    await found.file.close()
  }
}

/** Copies a file of the archive out of it. */
async function member(
  archive: string,
  name: string,
  to: string,
  what: string,
  digest: string | null = null,
): Promise<void> {
  const { file, offset, sizeBytes } = await find(archive, name, what)
  const target = await open(to, 'w', 0o644)
  const hash = createHash('sha256')
  try {
    for (let done = 0; done < sizeBytes; ) {
      const wanted = Math.min(1 << 20, sizeBytes - done)
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, offset + done)
      if (bytesRead === 0) throw badArchive(what, `it ends in the middle of ${name}`)
      hash.update(buffer.subarray(0, bytesRead))
      await target.write(buffer.subarray(0, bytesRead))
      done += bytesRead
    }
    checkSame(hash.digest('hex'), digest, name, what)
  } finally {
    await target.close()
    await file.close()
  }
}

async function find(archive: string, name: string, what: string) {
  const file = await open(archive, 'r')
  try {
    for await (const entry of readTar(file, what)) {
      if (entry.path.replace(/^(\.\/)+/, '') === name && entry.type === 'file') return { file, ...entry }
    }
  } catch (thrown) {
    await file.close()
    throw thrown
  }
  await file.close()
  throw badArchive(what, `${name} is not in it, or is no file`)
}

function checkSame(actual: string, wanted: string | null, name: string, what: string): void {
  if (wanted !== null && wanted !== `sha256:${actual}`)
    throw new DroverError('TRANSFER_FAILED', `read ${what}: ${name} has digest sha256:${actual}`)
}

function initOf(draft: string, { init, kind }: Found): string[] {
  const there = inits.find((path) => lstatSync(join(draft, path), { throwIfNoEntry: false }))
  if (there !== undefined) return [`/${there}`]
  if (init[0]?.startsWith('/')) return init
  throw new DroverError(
    'BAD_REQUEST',
    `import image: ${kind} without an init (${inits.map((path) => `/${path}`).join(', ')}); say which it is with --init`,
  )
}

/** Real directories only: what is there in another form is the image's own affair. */
async function makeFolders(draft: string): Promise<void> {
  for (const [path, mode] of folders) {
    if (lstatSync(join(draft, path), { throwIfNoEntry: false })) continue
    mkdirSync(join(draft, path))
    await chmod(join(draft, path), mode)
  }
}
