// What an entry of a foreign archive may become in a root file system: pure. Every path is resolved as if the archive's own root
// were `/`, links included, so that nothing is ever written through a link; what leads out of it, or is made to spend the host's
// memory or disk, is refused by name. Device nodes are left out: a container gets its devices from the engine.

import { badArchive, type TarEntry } from './tar-reader.ts'

export interface GuardBounds {
  totalBytes: number
  entries: number
}

export const usualBounds: GuardBounds = { totalBytes: 256 * 2 ** 30, entries: 4_000_000 }
const maxPathBytes = 4095
const maxNameBytes = 255
const maxLinks = 40
const maxAttributesBytes = 256 << 10
/** A user namespace of a container has so many. */
const lastId = 65_535

export interface GuardOptions {
  /** Entries elsewhere are passed over; this much of the others' paths is cut off. '' : all. */
  below?: string
  /** Owners in the archive are that much higher than inside. */
  idShift?: number
}

/** One for all layers of a file system, in their order. */
export class TarGuard {
  readonly #links = new Map<string, string>()
  readonly #files = new Set<string>()
  readonly #bounds: GuardBounds
  readonly #what: string
  #entries = 0
  #bytes = 0
  leftOut = 0
  /** Of all that was let in. */
  newestSeconds = 0

  constructor(what: string, bounds: GuardBounds = usualBounds) {
    this.#what = what
    this.#bounds = bounds
  }

  /** The entry as it may be unpacked; null: it is left out. */
  admit(entry: TarEntry, { below = '', idShift = 0 }: GuardOptions = {}): TarEntry | null {
    const inside = below === '' ? this.#parts(entry.path) : this.#cut(this.#parts(entry.path), below)
    if (inside === null) return null
    this.#count(entry)
    if (entry.type === 'character' || entry.type === 'block') {
      this.leftOut++
      return null
    }
    this.newestSeconds = Math.max(this.newestSeconds, entry.mtimeSeconds)
    const path = this.resolve(inside)
    const owner = (id: number) => this.#owner(id - idShift, entry.path)
    const admitted: TarEntry = {
      ...entry,
      path: path === '' ? '.' : path,
      uid: owner(entry.uid),
      gid: owner(entry.gid),
      attributes: this.#attributes(entry),
    }
    if (entry.type !== 'hardlink') {
      this.#remember(path, entry)
      return admitted
    }
    const linkPath = this.#hardlink(entry, below)
    const link = this.#links.get(linkPath)
    // A second name of a link is a link.
    if (link === undefined) this.#links.delete(path)
    else this.#links.set(path, link)
    this.#files.add(path)
    return { ...admitted, linkPath }
  }

  /** The path of a thing whose parents may be links: what would be there with the archive's root as `/`. */
  resolve(parts: readonly string[]): string {
    let done: string[] = []
    const rest = [...parts]
    for (let links = 0; rest.length > 1; ) {
      const next = rest.shift() as string
      if (next === '.' || next === '') continue
      if (next === '..') {
        done.pop()
        continue
      }
      const target = this.#links.get([...done, next].join('/'))
      if (target === undefined) {
        done.push(next)
        continue
      }
      if (++links > maxLinks) throw this.#refuse(parts.join('/'), 'too many links on its way')
      if (target.startsWith('/')) done = []
      rest.unshift(...target.split('/'))
    }
    return [...done, ...rest].join('/')
  }

  /** A whiteout took it away, with what was below it. */
  forget(path: string): void {
    for (const known of [this.#links, this.#files])
      for (const name of known.keys()) if (name === path || name.startsWith(`${path}/`)) known.delete(name)
  }

  /** The parts of an entry's own name, which may not lead anywhere by itself. */
  #parts(path: string): string[] {
    if (path.includes('\0')) throw this.#refuse(path, 'a name with a zero byte')
    if (path.startsWith('/')) throw this.#refuse(path, 'its path is absolute')
    if (path.length > maxPathBytes) throw this.#refuse(path, `its path is longer than ${maxPathBytes} bytes`)
    const parts = path.split('/').filter((part) => part !== '' && part !== '.')
    if (parts.includes('..')) throw this.#refuse(path, 'its path leads out by ..')
    const long = parts.find((part) => part.length > maxNameBytes)
    if (long !== undefined) throw this.#refuse(path, `a name longer than ${maxNameBytes} bytes`)
    return parts
  }

  #cut(parts: string[], below: string): string[] | null {
    const folders = below.split('/')
    return folders.every((folder, index) => parts[index] === folder) ? parts.slice(folders.length) : null
  }

  #hardlink(entry: TarEntry, below: string): string {
    const named = this.#parts(entry.linkPath.replace(/^\/+/, ''))
    const parts = below === '' ? named : this.#cut(named, below)
    const target = parts === null ? '' : this.resolve(parts)
    if (!this.#files.has(target))
      throw this.#refuse(entry.path, `a hard link to ${shown(entry.linkPath)}, which is no file before it`)
    return target
  }

  #remember(path: string, entry: TarEntry): void {
    this.#links.delete(path)
    this.#files.delete(path)
    if (entry.type === 'file') this.#files.add(path)
    if (entry.type !== 'symlink') return
    if (entry.linkPath === '' || entry.linkPath.length > maxPathBytes || entry.linkPath.includes('\0'))
      throw this.#refuse(entry.path, 'a link to nothing, or too long')
    if (path === '') throw this.#refuse(entry.path, 'a link in place of the root')
    this.#links.set(path, entry.linkPath)
    this.#files.add(path)
  }

  #count(entry: TarEntry): void {
    this.#bytes += entry.sizeBytes
    if (this.#bytes > this.#bounds.totalBytes)
      throw this.#refuse(entry.path, `with it there are more than ${this.#bounds.totalBytes} bytes`)
    if (++this.#entries > this.#bounds.entries)
      throw this.#refuse(entry.path, `with it there are more than ${this.#bounds.entries} entries`)
  }

  #owner(id: number, path: string): number {
    if (id >= 0 && id <= lastId) return id
    throw this.#refuse(path, `its owner ${id} is not within 0 to ${lastId}, the ids that a container has`)
  }

  /** What concerns the container alone: file capabilities and its users' own attributes; none by which overlayfs is told things. */
  #attributes(entry: TarEntry): TarEntry['attributes'] {
    const kept = new Map<string, Buffer>()
    let bytes = 0
    for (const [name, value] of entry.attributes) {
      const wanted = name === 'security.capability' || name.startsWith('user.')
      if (!wanted || name.startsWith('user.overlay.')) continue
      bytes += name.length + value.length
      kept.set(name, name === 'security.capability' ? withoutNamespace(value) : value)
    }
    if (bytes > maxAttributesBytes)
      throw this.#refuse(entry.path, `more than ${maxAttributesBytes} bytes of attributes`)
    return kept
  }

  #refuse = (path: string, why: string) => badArchive(this.#what, `entry ${shown(path)}: ${why}`)
}

const shown = (path: string): string => JSON.stringify(path.slice(0, 200))

/** A file capability that was set in a user namespace names its root (revision 3, capability.h); in an image it is root's. */
function withoutNamespace(value: Buffer): Buffer {
  const revision = 0xff000000
  if (value.length !== 24 || (value.readUInt32LE(0) & revision) >>> 0 !== 0x03000000) return value
  const plain = Buffer.from(value.subarray(0, 20))
  plain.writeUInt32LE(((value.readUInt32LE(0) & ~revision) | 0x02000000) >>> 0, 0)
  return plain
}
