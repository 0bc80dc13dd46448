// A TCP connection that is written to and read by lines, and says so when it was cut.

import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** TCP's own resending after a move takes seconds at worst. */
const answerDeadlineMs = 45_000

export class LineSocket {
  readonly #socket: Socket
  readonly #lines: string[] = []
  #waiting: (() => void) | null = null
  #cut = ''

  private constructor(socket: Socket) {
    this.#socket = socket
    createInterface({ input: socket }).on('line', (line) => {
      this.#lines.push(line)
      this.#waiting?.()
    })
    const cut = (reason: string) => {
      if (this.#cut === '') this.#cut = reason
      this.#waiting?.()
    }
    socket.on('error', (error) => cut(error.message))
    socket.on('close', () => cut('the connection was closed'))
  }

  static open(host: string, port: number): Promise<LineSocket> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new LineSocket(socket))
      })
    })
  }

  write(text: string): void {
    this.#socket.write(text)
  }

  async line(): Promise<string> {
    const deadline = performance.now() + answerDeadlineMs
    while (this.#lines.length === 0) {
      if (this.#cut !== '') throw new Error(this.#cut)
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`no answer within ${answerDeadlineMs} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    return this.#lines.shift() as string
  }

  close(): void {
    this.#socket.destroy()
  }
}
