// A state machine for tests: remembers every entry as text. Its state is lost with the process unless `loaded` is given.

import type { StateMachine } from '@drover/raft'

export class RecordingMachine implements StateMachine {
  appliedIndex: number
  entries: string[]
  restores = 0

  constructor(loaded: { appliedIndex: number; entries: string[] } = { appliedIndex: 0, entries: [] }) {
    this.appliedIndex = loaded.appliedIndex
    this.entries = [...loaded.entries]
  }

  apply(index: number, entry: Uint8Array): string {
    if (index !== this.appliedIndex + 1) throw new Error(`apply ${index} after ${this.appliedIndex}`)
    const text = Buffer.from(entry).toString()
    this.entries.push(text)
    this.appliedIndex = index
    return `${index}:${text}`
  }

  snapshot(): Uint8Array {
    return Buffer.from(JSON.stringify(this.entries))
  }

  restore(index: number, snapshot: Uint8Array): void {
    this.entries = JSON.parse(Buffer.from(snapshot).toString()) as string[]
    this.appliedIndex = index
    this.restores += 1
  }
}
