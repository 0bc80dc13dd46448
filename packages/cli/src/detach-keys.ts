// The keys that leave a console: looked for in what is typed and never sent, unless they turn out to be something else.

import { Transform, type TransformCallback } from 'node:stream'
import { InvalidArgumentError } from 'commander'

export const usualDetachKeys = 'ctrl-a,q'
const mostKeys = 8

/** `ctrl-a,q`: the bytes that a terminal sends for them. */
export function parseDetachKeys(text: string): Buffer {
  const keys = text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1]
    if (control) return control.toUpperCase().charCodeAt(0) & 31
    return /^[!-~]$/.test(key) ? key.charCodeAt(0) : Number.NaN
  })
  if (keys.length > mostKeys || keys.some(Number.isNaN)) {
    throw new InvalidArgumentError(
      `${JSON.stringify(text)} are no keys: write e.g. ctrl-p,ctrl-q or ctrl-],q, at most ${mostKeys}.`,
    )
  }
  return Buffer.from(keys)
}

/** Passes on what is typed until the keys come, which `detach` is then told. */
export class DetachFilter extends Transform {
  readonly #keys: Buffer
  readonly #detach: () => void
  /** How many of the keys have been held back. */
  #held = 0

  constructor(keys: Buffer, detach: () => void) {
    super()
    this.#keys = keys
    this.#detach = detach
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const { passed, detached } = this.#filter(chunk)
    if (passed.length > 0) this.push(Buffer.from(passed))
    if (detached) this.#detach()
    done()
  }

  #filter(chunk: Buffer): { passed: number[]; detached: boolean } {
    const passed: number[] = []
    for (const byte of chunk) {
      if (byte !== this.#keys[this.#held]) {
        passed.push(...this.#keys.subarray(0, this.#held))
        this.#held = 0
      }
      if (byte !== this.#keys[this.#held]) passed.push(byte)
      else if (++this.#held === this.#keys.length) return { passed, detached: true }
    }
    return { passed, detached: false }
  }
}
