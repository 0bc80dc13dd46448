// What an archive says of itself: LXD's and Incus's metadata.yaml, and the JSON of OCI layouts and docker archives. Pure, and wary: only
// the fields that are used, each checked.

import { parse } from 'yaml'
import { badArchive } from './tar-reader.ts'

const maxProperties = 64
const maxValueCharacters = 1024
const digestPattern = /^sha256:[0-9a-f]{64}$/

/** `properties` and `architecture` of a metadata.yaml. */
export function propertiesOf(yaml: string, what: string): Record<string, string> {
  let document: unknown
  try {
    document = parse(yaml, { maxAliasCount: 0 })
  } catch (error) {
    throw badArchive(what, `metadata.yaml: ${(error as Error).message}`)
  }
  const { properties, architecture } = asRecord(document)
  const texts = Object.entries({ ...asRecord(properties), ...(architecture === undefined ? {} : { architecture }) })
    .filter(
      ([key, value]) => /^[a-z0-9_.-]{1,64}$/i.test(key) && ['string', 'number', 'boolean'].includes(typeof value),
    )
    .map(([key, value]) => [key.toLowerCase(), String(value).slice(0, maxValueCharacters)] as const)
  return Object.fromEntries(texts.slice(0, maxProperties))
}

/** The blob that the only image of an index stands for, or the digest of the next index or manifest. */
export function manifestOf(index: string, what: string): string {
  const manifests = asList(asRecord(json(index, what, 'index.json')).manifests).map(asRecord)
  if (manifests.length !== 1)
    throw badArchive(what, `its index names ${manifests.length} images; save one of them by itself`)
  return digest(manifests[0]?.digest, what)
}

export function layersOf(manifest: string, what: string): { config: string; layers: string[]; index: boolean } {
  const document = asRecord(json(manifest, what, 'manifest'))
  if (document.manifests !== undefined) return { config: '', layers: [], index: true }
  return {
    config: digest(asRecord(document.config).digest, what),
    layers: asList(document.layers).map((layer) => digest(asRecord(layer).digest, what)),
    index: false,
  }
}

/** `docker save`: files of the archive. */
export function dockerManifestOf(manifest: string, what: string): { config: string; layers: string[] } {
  const images = asList(json(manifest, what, 'manifest.json')).map(asRecord)
  if (images.length !== 1) throw badArchive(what, `it holds ${images.length} images; save one of them by itself`)
  const file = (value: unknown): string => {
    if (typeof value === 'string' && /^[A-Za-z0-9._/:-]{1,300}$/.test(value) && !value.split('/').includes('..'))
      return value
    throw badArchive(what, `manifest.json names ${JSON.stringify(value)?.slice(0, 80)} as a file`)
  }
  return { config: file(images[0]?.Config), layers: asList(images[0]?.Layers).map(file) }
}

/** The command of an OCI configuration, if it has one. */
export function commandOf(config: string, what: string): string[] {
  const { config: run } = asRecord(json(config, what, 'configuration'))
  const { Entrypoint, Cmd } = asRecord(run)
  return [...asList(Entrypoint), ...asList(Cmd)].filter((word): word is string => typeof word === 'string')
}

function json(text: string, what: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw badArchive(what, `${file}: ${(error as Error).message}`)
  }
}

function digest(value: unknown, what: string): string {
  if (typeof value === 'string' && digestPattern.test(value)) return value
  throw badArchive(what, `${JSON.stringify(value)?.slice(0, 80)} is not sha256:<64 hex digits>`)
}

const asRecord = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
const asList = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
