// Files, processes and usage of a simulated container. Files go to its writable layer over its image, real directories both; owners
// are not kept (everything is root's): a simulated engine runs without root.

import { lstatSync, mkdirSync, readlinkSync, rmSync, type Stats, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError, type FileStatus, type InsideMethod, maxFilePieceBytes } from '@drover/protocol'
import { ContainerFiles } from './container-files.ts'
import type { SimulatedContainers } from './containers.ts'
import type { MethodTable } from './methods.ts'

export function insideTable(containers: SimulatedContainers): Pick<MethodTable, InsideMethod> {
  const filesOf = (container: string) => new ContainerFiles(containers, container)
  const status = (container: string, path: string, follow: boolean): FileStatus => {
    const real = filesOf(container).real(path, follow)
    if (real === null) throw missing(container, path)
    return describe(lstatSync(real), real)
  }
  return {
    fileStat: ({ container, path, follow }) => status(container, path, follow),
    fileList: ({ container, path }) => {
      const names = filesOf(container).list(path)
      if (names === null) throw missing(container, path)
      return { entries: names.map((name) => ({ name, ...status(container, join(path, name), false) })), next: null }
    },
    fileRead: ({ container, path, offset, limit }) => {
      const content = filesOf(container).read(path)
      if (content === null) throw missing(container, path)
      const part = content.subarray(offset, offset + Math.min(limit, maxFilePieceBytes))
      return { dataBase64: part.toString('base64'), sizeBytes: content.length }
    },
    fileWrite: ({ container, path, offset, dataBase64, truncate }) => {
      const files = filesOf(container)
      const before = files.read(path) ?? Buffer.alloc(0)
      const data = Buffer.from(dataBase64, 'base64')
      const after = truncate ? Buffer.alloc(0) : before.subarray(offset + data.length)
      files.write(path, Buffer.concat([before.subarray(0, offset), data, after]), { append: false })
      return status(container, path, true)
    },
    fileMake: ({ container, path, type, target }) => {
      const place = join(containers.upper(container), path)
      if (type === 'directory') mkdirSync(place, { recursive: true })
      else {
        rmSync(place, { force: true })
        symlinkSync(target ?? '', place)
      }
      return status(container, path, false)
    },
    processes: ({ container }) => {
      const { initPid, state } = containers.get(container)
      const command = containers.spec(container).init.join(' ')
      const figures = { threads: 1, cpuUsec: 0, memoryBytes: 1 << 20, readBytes: 0, writtenBytes: 0 }
      const init = { pid: 1, hostPid: initPid ?? 0, hostParentPid: 0, uid: 0, state: 'S', ...figures, command }
      return { processes: state === 'running' || state === 'frozen' ? [init] : [], more: false, atMs: Date.now() }
    },
    preflight: ({ container }) => ({
      findings: [],
      warnings: [],
      processes: containers.get(container).processes,
      complete: true,
    }),
    usage: ({ container, fileSystems }) => {
      const { memoryBytes, cpuUsec, processes } = containers.get(container)
      const root = { path: '/', type: 'simulated', totalBytes: 1 << 30, usedBytes: 1 << 20, availableBytes: 1 << 29 }
      const figures = { memoryBytes, cpuUsec, processes, readBytes: 0, writtenBytes: 0, atMs: Date.now() }
      return { ...figures, fileSystems: fileSystems ? [root] : [] }
    },
  }
}

function missing(container: string, path: string): DroverError {
  return new DroverError('FILE_NOT_FOUND', `look at ${path} in ${container}: No such file or directory`)
}

function describe(info: Stats, real: string): FileStatus {
  const type = info.isDirectory() ? 'directory' : info.isSymbolicLink() ? 'symlink' : 'file'
  return {
    type,
    mode: info.mode & 0o7777,
    uid: 0,
    gid: 0,
    sizeBytes: info.size,
    modifiedAtMs: Math.trunc(info.mtimeMs),
    target: type === 'symlink' ? readlinkSync(real) : null,
  }
}
