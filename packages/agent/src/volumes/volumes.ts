// The directories of this host that hold volumes, `<dataDirectory>/volumes/<id>.<copy>`, with the owners that the container sees: the engine
// mounts them with owners mapped. Whose they are and which copy counts, the controller says; one is removed only by its word, which
// names the copy, so that an old word can't reach a newer one. Missing is an error, never an empty directory.

import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { EngineContainer, EngineDevices } from '@drover/engine'
import { type Assignment, DroverError, type VolumeCopy } from '@drover/protocol'
import { volumeDirectoryName, volumesOf } from '../reconcile/engine-devices.ts'

const pattern = /^(v[1-9][0-9]{0,15})\.([0-9]{1,16})$/

export class Volumes {
  readonly root: string
  readonly #here = new Map<string, VolumeCopy>()
  #removals = 0

  constructor(dataDirectory: string) {
    this.root = join(dataDirectory, 'volumes')
    // Files in there have owners of the container's: nobody else of this host may come near them.
    mkdirSync(this.root, { recursive: true, mode: 0o700 })
    for (const name of readdirSync(this.root)) {
      const [, id, copy] = pattern.exec(name) ?? []
      if (id !== undefined) this.#here.set(name, { id, copy: Number(copy) })
      else if (name.startsWith('.gone-'))
        void rm(join(this.root, name), { recursive: true, force: true }).catch(() => {})
    }
  }

  all(): VolumeCopy[] {
    return [...this.#here.values()]
  }

  path(volume: VolumeCopy): string {
    return join(this.root, volumeDirectoryName(volume))
  }

  /**
   * Makes those that have never been. Throws VOLUME_NOT_FOUND when another one is missing, and VOLUME_IN_USE while another of these containers
   * has one still: it was taken away from it, but something in there kept it.
   */
  require(assignment: Assignment, containers: readonly EngineContainer[] = []): void {
    for (const volume of volumesOf(assignment)) {
      const path = this.path(volume)
      const doing = `volume ${nameOf(assignment, volume)} of ${assignment.name}`
      const user = containers.find(
        ({ container, devices }) => container !== assignment.container && uses(devices, path),
      )
      if (user) throw new DroverError('VOLUME_IN_USE', `${doing}: ${user.name ?? user.container} has it still`)
      if (existsSync(path)) continue
      if (!volume.fresh) throw new DroverError('VOLUME_NOT_FOUND', `${doing}: ${path} is missing`)
      this.#make(volume)
    }
  }

  /** An empty one, for what arrives from another host. */
  async receive(volume: VolumeCopy): Promise<string> {
    await this.remove(volume)
    this.#make(volume)
    return this.path(volume)
  }

  /** Out of sight at once; resolves when it is gone. */
  async remove(volume: VolumeCopy): Promise<void> {
    const gone = join(this.root, `.gone-${process.pid}-${this.#removals++}`)
    try {
      renameSync(this.path(volume), gone)
    } catch {
      if (existsSync(this.path(volume))) return
    }
    this.#here.delete(volumeDirectoryName(volume))
    await rm(gone, { recursive: true, force: true }).catch(() => {})
  }

  /** What the controller says is old, unfinished or deleted goes, unless an assignment here still names it. */
  obey(dropped: readonly VolumeCopy[], assignments: readonly Assignment[]): void {
    const named = new Set(assignments.flatMap((each) => volumesOf(each)).map(volumeDirectoryName))
    for (const volume of dropped) if (!named.has(volumeDirectoryName(volume))) void this.remove(volume)
  }

  #make(volume: VolumeCopy): void {
    mkdirSync(this.path(volume), { mode: 0o755 })
    const directory = openSync(this.root, 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
    this.#here.set(volumeDirectoryName(volume), { id: volume.id, copy: volume.copy })
  }
}

const uses = (devices: EngineDevices = {}, path: string): boolean =>
  Object.values(devices).some((device) => device.type === 'volume' && device.source === path)

function nameOf({ spec }: Assignment, { id }: VolumeCopy): string {
  for (const device of Object.values(spec.devices ?? {}))
    if (device.type === 'volume' && device.id === id) return device.volume
  return id
}
