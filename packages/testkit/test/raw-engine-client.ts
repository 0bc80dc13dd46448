// A client of the engine's socket that can also say things that no good client says. For tests only: programs use
// EngineClient of @drover/engine.

import { createConnection, type Socket } from 'node:net'
import { FrameType } from '@drover/protocol'

export interface Answer {
  id: unknown
  // biome-ignore lint/suspicious/noExplicitAny: tests look into results of every method
  result?: any
  error?: { code: string; message: string }
  event?: string
  container?: { container: string; state: string }
}

export class RawEngineClient {
  readonly socket: Socket
  readonly frames: { type: number; payload: Buffer }[] = []
  closed = false
  #pending = Buffer.alloc(0)
  #nextId = 1
  #wake = new Set<() => void>()

  constructor(path: string) {
    this.socket = createConnection(path)
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
      this.#changed()
    })
    this.socket.on('data', (chunk) => {
      this.#pending = Buffer.concat([this.#pending, chunk])
      while (this.#pending.length >= 4 && this.#pending.length >= 4 + this.#pending.readUInt32LE()) {
        const end = 4 + this.#pending.readUInt32LE()
        this.frames.push({ type: this.#pending[4]!, payload: Buffer.from(this.#pending.subarray(5, end)) })
        this.#pending = this.#pending.subarray(end)
      }
      this.#changed()
    })
  }

  frame(type: number, payload: string | Buffer): void {
    const body = Buffer.from(payload)
    const header = Buffer.alloc(5)
    header.writeUInt32LE(body.length + 1)
    header[4] = type
    this.socket.write(Buffer.concat([header, body]))
  }

  async call(method: string, params: unknown = {}): Promise<Answer> {
    const id = this.#nextId++
    this.frame(FrameType.json, JSON.stringify({ id, method, params }))
    return this.until(() => this.answers().find((answer) => answer.id === id))
  }

  answers(): Answer[] {
    return this.frames
      .filter((frame) => frame.type === FrameType.json)
      .map((frame) => JSON.parse(frame.payload.toString()) as Answer)
  }

  /** All that came on one output. */
  output(type: number): string {
    return Buffer.concat(this.frames.filter((frame) => frame.type === type).map((frame) => frame.payload)).toString()
  }

  async exitCode(): Promise<number> {
    const exit = await this.until(() => this.frames.find((frame) => frame.type === FrameType.exit))
    return (JSON.parse(exit.payload.toString()) as { exitCode: number }).exitCode
  }

  /** Waits until `look` finds something; rejects when the connection closes before, or after the deadline. */
  async until<T>(look: () => T | undefined | false, deadlineMs = 5000): Promise<T> {
    const deadline = Date.now() + deadlineMs
    for (;;) {
      const found = look()
      if (found) return found
      if (this.closed) throw new Error('the connection closed')
      if (Date.now() > deadline) throw new Error('the deadline passed')
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now())
        const wake = () => {
          clearTimeout(timer)
          this.#wake.delete(wake)
          resolve()
        }
        this.#wake.add(wake)
      })
    }
  }

  close(): void {
    this.socket.destroy()
  }

  #changed(): void {
    for (const wake of [...this.#wake]) wake()
  }
}
