// One `exec`: a simulated program between the frames of a connection. Input waits in a bounded queue (the socket is paused
// when it is full), output waits for the socket to drain.

import { DroverError, type ExecUser, FrameType } from '@drover/protocol'
import { type Program, runCommand } from './commands.ts'
import type { Connection } from './connection.ts'
import { ContainerFiles } from './container-files.ts'
import type { SimulatedContainers } from './containers.ts'

/** Input that may wait for the program before the connection is paused. */
const maxQueuedBytes = 1 << 20
const killedExitCode = 128

export interface ExecParams {
  container: string
  command: string[]
  environment: Record<string, string>
  directory: string | null
  user: ExecUser | null
  terminal: { columns: number; rows: number } | null
}

export class ExecSession {
  readonly #connection: Connection
  readonly #abort = new AbortController()
  readonly #program: Program
  readonly #command: string[]
  #terminal: { columns: number; rows: number } | null
  #queue: (Buffer | null)[] = []
  #queuedBytes = 0
  #wake: () => void = () => {}
  #killedBy = 0

  constructor(containers: SimulatedContainers, connection: Connection, params: ExecParams) {
    const { state } = containers.get(params.container)
    if (state !== 'running') {
      throw new DroverError('WRONG_STATE', `exec in ${params.container}: it is ${state}, not running`)
    }
    if (params.command.length === 0) throw new DroverError('BAD_REQUEST', 'exec: command is empty')
    this.#connection = connection
    this.#command = params.command
    this.#terminal = params.terminal
    this.#program = {
      containers,
      container: params.container,
      files: new ContainerFiles(containers, params.container),
      environment: {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        container: 'drover',
        ...(params.terminal ? { TERM: 'xterm' } : {}),
        PWD: params.directory ?? '/',
        ...params.environment,
      },
      user: idsOf(params.user),
      terminal: () => this.#terminal,
      stdin: this.#input(),
      stdout: (output) => connection.send(FrameType.stdout, output),
      // A terminal has one output.
      stderr: (output) => connection.send(params.terminal ? FrameType.stdout : FrameType.stderr, output),
      aborted: this.#abort.signal,
    }
  }

  /** Runs the program to its end; the exit frame is the last one. */
  async run(): Promise<void> {
    try {
      const ended = runCommand(this.#command, this.#program)
      const killed = new Promise<number>((resolve) => {
        this.#abort.signal.addEventListener('abort', () => resolve(killedExitCode + this.#killedBy), { once: true })
      })
      const exitCode = await Promise.race([ended, killed])
      ended.catch(() => {})
      await this.#connection.send(FrameType.exit, JSON.stringify({ exitCode }))
    } catch (error) {
      await this.#connection.send(FrameType.error, JSON.stringify(DroverError.from(error).toJSON()))
    } finally {
      this.#connection.end()
    }
  }

  /** A frame that came for the program. */
  receive(type: FrameType, payload: Uint8Array): void {
    switch (type) {
      case FrameType.stdin:
        this.#enqueue(Buffer.from(payload))
        break
      case FrameType.stdinEnd:
        this.#enqueue(null)
        break
      case FrameType.resize:
        this.#terminal =
          this.#terminal && (JSON.parse(Buffer.from(payload).toString()) as { columns: number; rows: number })
        break
      case FrameType.signal:
        this.abort((JSON.parse(Buffer.from(payload).toString()) as { signal: number }).signal)
        break
      default:
        this.abort(1)
    }
  }

  /** The client has gone (SIGHUP), or sent a signal. */
  abort(signal: number): void {
    this.#killedBy = signal
    this.#abort.abort()
    this.#wake()
  }

  #enqueue(chunk: Buffer | null): void {
    this.#queue.push(chunk)
    this.#queuedBytes += chunk?.length ?? 0
    if (this.#queuedBytes > maxQueuedBytes) this.#connection.pause()
    this.#wake()
  }

  async *#input(): AsyncGenerator<Buffer> {
    while (!this.#abort.signal.aborted) {
      const chunk = this.#queue.shift()
      if (chunk === null) return
      if (chunk === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      this.#queuedBytes -= chunk.length
      if (this.#queuedBytes <= maxQueuedBytes) this.#connection.resume()
      yield chunk
    }
  }
}

/** A simulated container has no users but root and one more. */
function idsOf(user: ExecUser | null): { uid: number; gid: number } {
  if (user === null) return { uid: 0, gid: 0 }
  if (!('name' in user)) return user
  return user.name === 'root' ? { uid: 0, gid: 0 } : { uid: 1000, gid: 1000 }
}
