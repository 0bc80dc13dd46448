// A tree that arrives, the writable layer or a volume: where it is, and what the source has said of its last changes.

import type { MigrationFigures } from '@drover/protocol'
import type { TreeSum } from '../streams/messages.ts'
import { keepOnly } from './apply-delta.ts'
import type { FileTime, TreeCheck } from './tree-check.ts'

export class ArrivingTree {
  readonly root: string
  readonly check: TreeCheck
  readonly figures: MigrationFigures
  readonly paths: string[] = []
  readonly times: FileTime[] = []
  /** Something in it was written or removed since it arrived. */
  written = false
  #names: string[] = []
  #sum: Promise<TreeSum> | null = null

  constructor(root: string, check: TreeCheck, figures: MigrationFigures) {
    this.root = root
    this.check = check
    this.figures = figures
  }

  /** What isn't named in the directory is none of it. */
  async keepOnly({ directory, names, last }: { directory: string; names: string[]; last: boolean }): Promise<void> {
    this.#names.push(...names)
    if (!last) return
    this.paths.push(...(await keepOnly(this.root, directory, this.#names)))
    this.#names = []
  }

  /** The last delta is in place: it is looked at while others come. */
  changed(): void {
    this.#sum = this.check.after(this.paths, this.figures, this.times)
    this.#sum.catch(() => {})
  }

  sum(): Promise<TreeSum> {
    return this.#sum ?? this.check.after([], this.figures)
  }
}
