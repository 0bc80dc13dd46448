// What the simulated engine knows of one container, and how that outlives the engine: one JSON file per container, replaced
// atomically. The "processes" of a simulated container are numbers in this record, so a new engine adopts them by reading it.

import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { EngineContainer, EngineFigures, EngineSpec, EngineState } from '@drover/engine'
import { DroverError } from '@drover/protocol'

/** The memory of the `pulse` process: it counts while the container runs, and only a checkpoint carries it elsewhere. */
export interface SimulatedMemory {
  /** Counter when it last began to count. */
  pulseBase: number
  /** CLOCK_REALTIME ms since when it counts; null while frozen. */
  pulseSinceMs: number | null
  /** What a `hog` has taken beside the usual. */
  heldBytes?: number
  oomKills?: number
  frozenAtLimit?: boolean
}

export interface ContainerRecord {
  spec: EngineSpec
  epoch: number
  state: EngineState
  initPid: number | null
  startedAtMs: number | null
  starts: number
  exit: EngineContainer['exit']
  memory: SimulatedMemory
  /** Of the host when init was started; missing: of an older engine. */
  bootId?: string
  /** Frozen because the lease was over. */
  fenced?: boolean
  /** Made by prepareRestore and not restored yet. */
  prepared: boolean
  /** It was frozen before the dump, or shall be after the restore. */
  standsStill?: boolean
  /** Of the last checkpoint, restore and release: a repeated command answers the same. */
  figures: { [method: string]: EngineFigures }
}

export function newRecord(spec: EngineSpec): ContainerRecord {
  return {
    spec,
    epoch: spec.epoch,
    state: 'created',
    initPid: null,
    startedAtMs: null,
    starts: 0,
    exit: null,
    memory: { pulseBase: 0, pulseSinceMs: null },
    prepared: false,
    figures: {},
  }
}

export class RecordStore {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }

  /** Every container that a former engine left here. */
  load(): ContainerRecord[] {
    return readdirSync(this.#directory, { withFileTypes: true }).flatMap((entry) => {
      if (!entry.isDirectory()) return []
      try {
        return [JSON.parse(readFileSync(this.#file(entry.name), 'utf8')) as ContainerRecord]
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
        // A create or delete that was cut off: nothing to adopt.
        rmSync(join(this.#directory, entry.name), { recursive: true, force: true })
        return []
      }
    })
  }

  save(record: ContainerRecord): void {
    mkdirSync(this.upper(record.spec.container), { recursive: true })
    const file = this.#file(record.spec.container)
    writeFileSync(`${file}.new`, JSON.stringify(record))
    renameSync(`${file}.new`, file)
  }

  remove(container: string): void {
    rmSync(this.#file(container), { force: true })
    rmSync(join(this.#directory, container), { recursive: true, force: true })
  }

  /** The writable layer: a real directory, so that agents copy real files. */
  upper(container: string): string {
    return join(this.#directory, container, 'upper')
  }

  /** A simulated engine isn't killed between the two renames, so they needn't be one. */
  replaceUpper(container: string, directory: string): void {
    if (dirname(directory) !== join(this.#directory, container) || !statSync(directory).isDirectory()) {
      throw new DroverError('BAD_REQUEST', `directory ${directory} is not in the directory of ${container}`)
    }
    rmSync(this.upper(container), { recursive: true, force: true })
    renameSync(directory, this.upper(container))
  }

  /** What init wrote to its console. */
  log(container: string, text: string): void {
    const folder = join(this.upper(container), 'var', 'log')
    mkdirSync(folder, { recursive: true })
    appendFileSync(join(folder, 'console.log'), text)
  }

  #file(container: string): string {
    return join(this.#directory, container, 'record.json')
  }
}
