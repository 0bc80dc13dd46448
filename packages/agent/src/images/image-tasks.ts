// Images that the controller asked for, built or made of what is here: each task is done once per operation, one at a time (they are
// heavy), and its result is reported until the controller no longer lists the task. One that a restart cut off is simply done again.

import { lstatSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError, type ImageProperties, type ImageTask, type ImageTaskResult } from '@drover/protocol'
import { cloudInit } from '../first-boot/place.ts'
import type { AgentParts } from '../parts.ts'
import type { ImageRecord, ImageStore } from './image-store.ts'
import { importImage } from './import-image.ts'
import { packLayer, unpackLayer } from './layer.ts'
import { publishContainer } from './publish-container.ts'
import { fromReadyLayer } from './ready-layer.ts'
import { recipeOf } from './recipe.ts'
import type { Uploads } from './uploads.ts'

/** More tasks than this at once are refused: a controller asks for one at a time. */
const maxTasks = 16

export class ImageTasks {
  readonly images: ImageStore
  readonly uploads: Uploads
  readonly #parts: AgentParts
  readonly #changed: () => void
  readonly #layersDirectory: string | undefined
  #tasks = new Map<string, { task: ImageTask; abort: AbortController }>()
  #results = new Map<string, ImageTaskResult>()
  #queue: Promise<void> = Promise.resolve()
  readonly #stop = new AbortController()

  constructor(parts: AgentParts, { layersDirectory }: { layersDirectory?: string | undefined }, changed: () => void) {
    this.#parts = parts
    this.images = parts.images
    this.uploads = parts.uploads
    this.#layersDirectory = layersDirectory
    this.#changed = changed
  }

  /** Ends the build under way; the next agent does it again. */
  stop(): Promise<void> {
    this.#stop.abort()
    return this.#queue
  }

  results(): ImageTaskResult[] {
    return [...this.#results.values()]
  }

  /** Takes the tasks of a batch; a complete batch also ends the reports of tasks that aren't in it. */
  accept(tasks: ImageTask[], complete: boolean): void {
    for (const task of tasks) if (!this.#results.has(task.operation)) this.#start(task)
    if (!complete) return
    const listed = new Set(tasks.map((task) => task.operation))
    for (const [operation, result] of this.#results) {
      if (listed.has(operation)) continue
      // Cancelled, or its end has been heard of.
      if (result.state === 'running') this.#tasks.get(operation)?.abort.abort()
      else this.#forget(operation)
    }
  }

  #start(task: ImageTask): void {
    if (this.#results.size >= maxTasks) {
      const message = `build image ${task.name}: ${maxTasks} builds are waiting already`
      this.#report(task, { state: 'failed', message, error: { code: 'LIMIT_REACHED', message } })
      return
    }
    this.#tasks.set(task.operation, { task, abort: new AbortController() })
    this.#report(task, { state: 'running', message: 'waiting' })
    this.#queue = this.#queue.then(() => this.#build(task))
  }

  async #build(task: ImageTask): Promise<void> {
    const own = this.#tasks.get(task.operation)?.abort.signal ?? this.#stop.signal
    const signal = AbortSignal.any([this.#stop.signal, own])
    if (this.#stop.signal.aborted) return
    try {
      const progress = (message: string) => this.#report(task, { state: 'running', message })
      signal.throwIfAborted()
      const image = this.#withCloudInit(await this.#make(task, progress, signal))
      this.#report(task, { state: 'done', message: image.digest, image })
    } catch (thrown) {
      const { code, message } = DroverError.from(thrown)
      this.#report(task, { state: 'failed', message, error: { code, message } })
    }
  }

  async #make(task: ImageTask, progress: (message: string) => void, signal: AbortSignal): Promise<ImageRecord> {
    const { source, name, recipe } = task
    if (source === undefined) return buildImage(this.images, recipe, name, progress, signal, this.#layersDirectory)
    if (source.kind === 'container') return publishContainer(this.#parts, source, name, progress, signal)
    progress('checking what was sent')
    const path = await this.uploads.checked(source.upload, source.sha256)
    return importImage(this.images, { path, name, init: source.init }, progress, signal)
  }

  /** Whether it has cloud-init decides what its containers can be told at their first boot. */
  #withCloudInit(image: ImageRecord & { properties?: ImageProperties }) {
    const there = lstatSync(join(this.images.rootfs(image.digest), cloudInit), { throwIfNoEntry: false })
    return { ...image, properties: { ...image.properties, 'cloud-init': there ? 'yes' : 'no' } }
  }

  #forget(operation: string): void {
    const source = this.#tasks.get(operation)?.task.source
    if (source?.kind === 'upload') this.uploads.remove(source.upload)
    this.#tasks.delete(operation)
    this.#results.delete(operation)
  }

  #report(task: ImageTask, part: Pick<ImageTaskResult, 'state' | 'message'> & Partial<ImageTaskResult>): void {
    this.#results.set(task.operation, { operation: task.operation, image: null, error: null, ...part })
    this.#changed()
  }
}

export async function buildImage(
  images: ImageStore,
  recipeName: string,
  name: string,
  progress: (message: string) => void,
  signal: AbortSignal = new AbortController().signal,
  layersDirectory?: string,
): Promise<ImageRecord> {
  const recipe = fromReadyLayer(recipeOf(recipeName), layersDirectory, name)
  const staged = images.stage()
  try {
    const draft = join(staged, 'draft')
    mkdirSync(draft, { mode: 0o755 })
    await recipe.fill(draft, progress, signal)
    progress('packing')
    const { digest, sizeBytes } = await packLayer(draft, join(staged, 'layer.tar'), recipe.owners)
    await rm(draft, { recursive: true, force: true })
    await unpackLayer(join(staged, 'layer.tar'), join(staged, 'rootfs'))
    const record: ImageRecord = { digest, name, sizeBytes, init: recipe.init }
    await images.publish(staged, record)
    return record
  } catch (thrown) {
    await images.discard(staged)
    throw thrown
  }
}
