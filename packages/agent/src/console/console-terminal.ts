// One container's console: a login in it whose output goes to every viewer, whose input comes from any, and between its lines those that
// init writes. A viewer that doesn't keep up misses output, so that it holds nobody else back; only when all are behind the login waits.

import { setTimeout as delay } from 'node:timers/promises'
import { DroverError } from '@drover/protocol'
import type { EnginePort, ExecPort } from '../engine-port.ts'

export type Viewer = (data: Uint8Array) => void
interface Size {
  columns: number
  rows: number
}

/** Whoever attaches sees the end of what was there before: about a few screens. */
const rememberedBytes = 32 << 10
const logTailBytes = 4 << 10
const logPollMs = 250
const idleMs = 60 * 60_000
/** A login that ends sooner is broken and is not begun again. */
const shortestLoginMs = 1_000
const mostViewers = 16

/**
 * Whoever gets here may do anything in the container already (exec asks for the same right), so no password is asked for; `login` makes it a
 * session that the container's own programs know. busybox's
 * `login` would ask all the same where root has no password: there it is a login shell.
 */
const login = [
  '/bin/sh',
  '-c',
  'case "$(readlink -f /bin/login 2>/dev/null)" in */login) exec /bin/login -f root ;; esac; exec sh -l',
]

export class ConsoleTerminal {
  /** Rejects with why it ended; resolves with the exit code of a login that would not stay. */
  readonly ended: Promise<number>
  readonly #engine: EnginePort
  readonly #container: string
  /** True: has more unread than is good. */
  readonly #viewers = new Map<Viewer, boolean>()
  readonly #forget: () => void
  #settle!: (outcome: number | DroverError) => void
  #over = false
  #session: Promise<ExecPort> | null = null
  #size: Size = { columns: 80, rows: 24 }
  #remembered = Buffer.alloc(0)
  #following = false
  #idle: NodeJS.Timeout | null = null

  constructor(engine: EnginePort, container: string, forget: () => void) {
    this.#engine = engine
    this.#container = container
    this.#forget = forget
    this.ended = new Promise((resolve, reject) => {
      this.#settle = (outcome) => {
        if (this.#over) return
        this.#over = true
        if (this.#idle) clearTimeout(this.#idle)
        forget()
        if (typeof outcome === 'number') resolve(outcome)
        else reject(outcome)
      }
    })
    this.ended.catch(() => {})
  }

  async join(viewer: Viewer, size: Size): Promise<void> {
    if (this.#viewers.size >= mostViewers) {
      throw new DroverError('LIMIT_REACHED', `console of ${this.#container}: ${mostViewers} are attached, the limit`)
    }
    this.#viewers.set(viewer, false)
    if (this.#idle) clearTimeout(this.#idle)
    this.#idle = null
    try {
      // Before its login, so that what it says comes after what init said.
      const tail = await this.#engine.call('logs', {
        container: this.#container,
        offset: -logTailBytes,
        limit: logTailBytes,
      })
      viewer(asShown(Buffer.from(tail.dataBase64, 'base64')))
      if (this.#remembered.length > 0) viewer(this.#remembered)
      void this.#followLog(tail.nextOffset)
      this.#session ??= this.#begin(size)
      await this.#session
      this.resize(size)
    } catch (thrown) {
      this.leave(viewer)
      throw thrown
    }
  }

  leave(viewer: Viewer): void {
    this.#viewers.delete(viewer)
    if (this.#viewers.size > 0 || this.#over) return
    if (this.#session === null) {
      this.#forget()
      return
    }
    this.#hold()
    this.#idle = setTimeout(() => this.#close(), idleMs)
    this.#idle.unref()
  }

  async write(data: Uint8Array): Promise<void> {
    await (await this.#session)?.write(data)
  }

  /** One terminal has one size: that of who said it last. */
  resize(size: Size): void {
    this.#size = size
    void this.#session?.then((session) => session.resize(size.columns, size.rows)).catch(() => {})
  }

  hold(viewer: Viewer, behind: boolean): void {
    if (!this.#viewers.has(viewer)) return
    this.#viewers.set(viewer, behind)
    this.#hold()
  }

  #hold(): void {
    const all = this.#viewers.size > 0 && [...this.#viewers.values()].every((behind) => behind)
    void this.#session?.then((session) => (all ? session.pause() : session.resume())).catch(() => {})
  }

  async #begin(size: Size): Promise<ExecPort> {
    const startedAt = performance.now()
    this.#size = size
    const session = await this.#engine
      .exec(
        {
          container: this.#container,
          command: login,
          environment: { TERM: 'xterm' },
          directory: null,
          user: null,
          terminal: size,
        },
        { onStdout: (data) => this.#show(data) },
      )
      .catch((thrown) => {
        this.#session = null
        throw thrown
      })
    session.exit.then(
      (exitCode) => {
        if (this.#over) return
        if (performance.now() - startedAt < shortestLoginMs || this.#viewers.size === 0) return this.#settle(exitCode)
        // As a getty does.
        this.#session = this.#begin(this.#size)
        this.#session.catch((thrown) => this.#settle(DroverError.from(thrown)))
      },
      (thrown) => this.#settle(DroverError.from(thrown)),
    )
    return session
  }

  #close(): void {
    void this.#session?.then((session) => session.close()).catch(() => {})
    this.#settle(0)
  }

  #show(data: Uint8Array): void {
    this.#remembered = Buffer.concat([this.#remembered, data]).subarray(-rememberedBytes)
    for (const [viewer, behind] of this.#viewers) if (!behind || this.#viewers.size === 1) viewer(data)
  }

  /** For as long as somebody looks; only one of it. */
  async #followLog(from: number): Promise<void> {
    if (this.#following) return
    this.#following = true
    let offset = from
    try {
      while (!this.#over && this.#viewers.size > 0) {
        await delay(logPollMs, undefined, { ref: false })
        const part = await this.#engine.call('logs', { container: this.#container, offset, limit: rememberedBytes })
        offset = part.size < part.offset ? 0 : part.nextOffset
        if (part.dataBase64 !== '') this.#show(asShown(Buffer.from(part.dataBase64, 'base64')))
      }
    } catch {
      // The end of the session says why.
    } finally {
      this.#following = false
    }
  }
}

/** Lines of a file as a terminal shows them. */
const asShown = (text: Buffer): Buffer => Buffer.from(text.toString('latin1').replace(/\r?\n/g, '\r\n'), 'latin1')
