// Files of one container, by its engine's methods: paths are followed as the container would follow them, never out of it.

import type { EngineMethods } from '@drover/engine'
import { DroverError, type FileStatus, maxFilePieceBytes } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { AgentParts } from '../parts.ts'

/** Null: as it is there, or usual. */
export interface Ownership {
  mode?: number | null
  uid?: number | null
  gid?: number | null
}

/** Enough for /etc/passwd and its like; more than that is refused. */
const mostReadBytes = 4 << 20

export class Disk {
  readonly #engine: AgentParts['engine']
  readonly #container: string

  constructor({ engine }: Pick<AgentParts, 'engine'>, container: string) {
    this.#engine = engine
    this.#container = container
  }

  async has(path: string): Promise<boolean> {
    return (await this.stat(path)) !== null
  }

  async stat(path: string, follow = true): Promise<FileStatus | null> {
    return await orMissing(this.#call('fileStat', { path, follow }))
  }

  /** Names of the regular files of a directory; none if there is none. */
  async files(path: string): Promise<string[]> {
    const listed = await orMissing(this.#call('fileList', { path, after: null }))
    return listed?.entries.filter(({ type }) => type === 'file').map(({ name }) => name) ?? []
  }

  /** Null: there is none. */
  async read(path: string): Promise<Buffer | null> {
    const pieces: Buffer[] = []
    for (let offset = 0; offset < mostReadBytes; ) {
      const piece = await orMissing(this.#call('fileRead', { path, offset, limit: maxFilePieceBytes }))
      if (piece === null) return null
      const data = Buffer.from(piece.dataBase64, 'base64')
      pieces.push(data)
      offset += data.length
      if (data.length === 0 || offset >= piece.sizeBytes) return Buffer.concat(pieces)
    }
    throw new DroverError(
      'LIMIT_REACHED',
      `read ${path} in ${this.#container}: it is larger than ${mostReadBytes} bytes`,
    )
  }

  async text(path: string): Promise<string | null> {
    return (await this.read(path))?.toString() ?? null
  }

  /** What is there from `offset` on goes. */
  async write(path: string, content: string | Buffer, ownership: Ownership = {}, offset = 0): Promise<void> {
    const { mode = null, uid = null, gid = null } = ownership
    const data = Buffer.from(content)
    let done = 0
    do {
      const dataBase64 = data.subarray(done, done + maxFilePieceBytes).toString('base64')
      await this.#call('fileWrite', { path, offset: offset + done, dataBase64, truncate: true, mode, uid, gid })
      done += maxFilePieceBytes
    } while (done < data.length)
  }

  /** The whole way down; what is there stays as it is. */
  async makeDirectories(path: string, last: Ownership = { uid: 0, gid: 0 }): Promise<void> {
    const names = path.split('/').slice(1)
    for (const at of names.keys()) {
      const part = `/${names.slice(0, at + 1).join('/')}`
      if (await this.has(part)) continue
      const { mode = null, uid = 0, gid = 0 } = at === names.length - 1 ? last : {}
      await this.#call('fileMake', { path: part, type: 'directory', target: null, mode, uid, gid })
    }
  }

  async link(path: string, target: string): Promise<void> {
    await this.#call('fileMake', { path, type: 'symlink', target, mode: null, uid: 0, gid: 0 })
  }

  #call<M extends 'fileStat' | 'fileList' | 'fileRead' | 'fileWrite' | 'fileMake'>(
    method: M,
    params: Omit<EngineMethods[M]['params'], 'container'>,
  ): Promise<EngineMethods[M]['result']> {
    const asked = { ...params, container: this.#container } as unknown as EngineMethods[M]['params']
    return this.#engine.call(method, asked, { deadlineMs: engineDeadlines.quick })
  }
}

async function orMissing<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call
  } catch (error) {
    if (DroverError.from(error).code === 'FILE_NOT_FOUND') return null
    throw error
  }
}
