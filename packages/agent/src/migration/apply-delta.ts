// The destination's side of a delta, without tar: removes what is gone and makes the sockets. The layer's content came from inside a
// container, so nothing here may follow a symbolic link out of it: each parent is checked to be a directory. (Nothing runs in the layer yet,
// so what was checked stays so.)

import { constants, lstatSync, readdirSync } from 'node:fs'
import { chmod, lchown, mkdir, open, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { DroverError } from '@drover/protocol'
import type { FileNode } from '../streams/messages.ts'
import { pathBytes } from './disk-manifest.ts'

export async function removePaths(upper: string, paths: string[]): Promise<void> {
  for (const path of paths) {
    checkPath(path)
    if (!parentsAreDirectories(upper, path)) continue
    await rm(pathBytes(upper, path), { recursive: true, force: true })
  }
}

/** Removes what else is in a directory of the layer; returns the paths. */
export async function keepOnly(upper: string, directory: string, names: readonly string[]): Promise<string[]> {
  if (directory !== '.') checkPath(directory)
  const at = pathBytes(upper, directory)
  if (directory !== '.' && !parentsAreDirectories(upper, directory)) return []
  if (!lstatSync(at, { throwIfNoEntry: false })?.isDirectory()) return []
  const kept = new Set(names)
  const others = readdirSync(at, { encoding: 'latin1' }).filter((name) => !kept.has(name))
  const paths = others.map((name) => (directory === '.' ? name : `${directory}/${name}`))
  await removePaths(upper, paths)
  return paths
}

export async function makeSockets(upper: string, sockets: FileNode[]): Promise<void> {
  for (const socket of sockets) {
    checkPath(socket.path)
    await makeParents(upper, socket.path)
    const path = pathBytes(upper, socket.path)
    await rm(path, { recursive: true, force: true })
    await makeSocket(upper, path)
    if (process.getuid?.() === 0) await lchown(path, socket.uid, socket.gid)
    await chmod(path, socket.mode)
  }
}

/** A socket file comes into being by binding, whose path may be 107 bytes long: so it is bound in a short place and renamed. */
async function makeSocket(upper: string, path: Buffer): Promise<void> {
  const directory = await open(upper, constants.O_RDONLY | constants.O_DIRECTORY)
  const server = createServer()
  const short = `/proc/self/fd/${directory.fd}/.drover-socket`
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(short, resolve)
    })
    await rename(short, path)
  } finally {
    await new Promise((resolve) => server.close(resolve))
    await directory.close()
  }
}

function checkPath(path: string): void {
  if (path === '' || path === '.' || path.startsWith('/') || path.includes('\0') || path.split('/').includes('..')) {
    throw new DroverError(
      'BAD_REQUEST',
      `disk delta: the path ${JSON.stringify(path.slice(0, 80))} does not lie in the layer`,
    )
  }
}

function parentsOf(path: string): string[] {
  const parts = path.split('/')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

function parentsAreDirectories(upper: string, path: string): boolean {
  return parentsOf(path).every((parent) =>
    lstatSync(pathBytes(upper, parent), { throwIfNoEntry: false })?.isDirectory(),
  )
}

async function makeParents(upper: string, path: string): Promise<void> {
  for (const parent of parentsOf(path)) {
    const at = pathBytes(upper, parent)
    if (lstatSync(at, { throwIfNoEntry: false })?.isDirectory()) continue
    await rm(at, { recursive: true, force: true })
    await mkdir(at, { mode: 0o755 })
  }
}
