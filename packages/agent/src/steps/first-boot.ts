// Before the first start of a container its disk gets what it is to be told (protocol's first-boot.ts): for an image with cloud-init a seed of
// its NoCloud source, which cloud-init takes once per instance id; for one without, root's authorized keys. Writing it again is
// harmless: an agent that dies in the middle does so before the same start.

import type { EngineMethods } from '@drover/engine'
import { type Assignment, DroverError, type FirstBoot } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import type { AgentParts } from '../parts.ts'

const cloudInit = '/usr/bin/cloud-init'
const seed = '/var/lib/cloud/seed/nocloud'
const authorizedKeys = '/root/.ssh/authorized_keys'

export async function prepareFirstBoot(parts: AgentParts, assignment: Assignment): Promise<void> {
  const { firstBoot } = assignment.spec
  if (firstBoot === undefined || parts.mirror.get(assignment.container)?.starts !== 0) return
  const disk = new Disk(parts, assignment)
  if (await disk.has(cloudInit)) return writeSeed(disk, assignment, firstBoot)
  if (firstBoot.userData !== undefined || firstBoot.vendorData !== undefined) {
    throw new DroverError(
      'WRONG_STATE',
      `start ${assignment.name}: it has user data, and image ${assignment.spec.imageName} has no cloud-init (${cloudInit}) to read it`,
    )
  }
  if (firstBoot.sshKeys !== undefined) await addKeys(disk, firstBoot.sshKeys)
}

async function writeSeed(disk: Disk, assignment: Assignment, firstBoot: FirstBoot): Promise<void> {
  await disk.makeDirectories(seed)
  for (const [name, text] of Object.entries(seedFiles(assignment, firstBoot))) await disk.write(`${seed}/${name}`, text)
}

/** As JSON, which is YAML: nothing of it has to be quoted for another language. */
export function seedFiles({ container, name, identity }: Assignment, firstBoot: FirstBoot): Record<string, string> {
  const { userData = '#cloud-config\n{}\n', vendorData, sshKeys = [] } = firstBoot
  const metaData = {
    // Another container, and so a copy, is another instance: the machine id is nobody else's.
    'instance-id': `${container}-${identity.machineId.slice(0, 12)}`,
    'local-hostname': name,
    ...(sshKeys.length === 0 ? {} : { 'public-keys': sshKeys }),
  }
  return {
    'user-data': userData,
    ...(vendorData === undefined ? {} : { 'vendor-data': vendorData }),
    // The engine has made the network before init runs.
    'network-config': `${JSON.stringify({ config: 'disabled' })}\n`,
    // The last: cloud-init takes a seed without it for none.
    'meta-data': `${JSON.stringify(metaData)}\n`,
  }
}

async function addKeys(disk: Disk, keys: readonly string[]): Promise<void> {
  await disk.makeDirectories('/root')
  await disk.makeDirectories('/root/.ssh', 0o700)
  const before = (await disk.has(authorizedKeys)) ? await disk.read(authorizedKeys) : ''
  const there = new Set(before.split('\n'))
  const missing = keys.filter((key) => !there.has(key))
  const text = `${before === '' || before.endsWith('\n') ? before : `${before}\n`}${missing.map((key) => `${key}\n`).join('')}`
  if (missing.length > 0) await disk.write(authorizedKeys, text)
}

/** Files of a container without processes, by the engine's methods. */
class Disk {
  readonly #parts: AgentParts
  readonly #container: string

  constructor(parts: AgentParts, { container }: Assignment) {
    this.#parts = parts
    this.#container = container
  }

  async has(path: string): Promise<boolean> {
    try {
      await this.#call('fileStat', { path, follow: true })
      return true
    } catch (error) {
      if (DroverError.from(error).code === 'FILE_NOT_FOUND') return false
      throw error
    }
  }

  async read(path: string): Promise<string> {
    const { dataBase64 } = await this.#call('fileRead', { path, offset: 0, limit: 256 << 10 })
    return Buffer.from(dataBase64, 'base64').toString()
  }

  async write(path: string, text: string): Promise<void> {
    const dataBase64 = Buffer.from(text).toString('base64')
    await this.#call('fileWrite', { path, offset: 0, dataBase64, truncate: true, mode: 0o600, uid: 0, gid: 0 })
  }

  /** The whole way down; what is there stays as it is. */
  async makeDirectories(path: string, mode: number | null = null): Promise<void> {
    const names = path.split('/').slice(1)
    for (const at of names.keys()) {
      const part = `/${names.slice(0, at + 1).join('/')}`
      if (await this.has(part)) continue
      const last = at === names.length - 1
      await this.#call('fileMake', {
        path: part,
        type: 'directory',
        target: null,
        mode: last ? mode : null,
        uid: 0,
        gid: 0,
      })
    }
  }

  #call<M extends 'fileStat' | 'fileRead' | 'fileWrite' | 'fileMake'>(
    method: M,
    params: Omit<EngineMethods[M]['params'], 'container'>,
  ): Promise<EngineMethods[M]['result']> {
    const asked = { ...params, container: this.#container } as unknown as EngineMethods[M]['params']
    return this.#parts.engine.call(method, asked, { deadlineMs: engineDeadlines.quick })
  }
}
