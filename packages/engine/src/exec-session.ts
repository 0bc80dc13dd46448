// A command that runs inside a container, over its own connection to the engine. Closing the connection hangs the command
// up (SIGHUP to its process group), so a session that is left is never left behind.

import { DroverError, type Frame, FrameType, maxFrameBytes } from '@drover/protocol'
import { FrameStream } from './frame-stream.ts'
import type { EngineMethods } from './messages.ts'
import { openSocket } from './open-socket.ts'

export type ExecParams = EngineMethods['exec']['params']

/** Longest piece of stdin that goes into one frame. */
const stdinPieceBytes = Math.min(64 << 10, maxFrameBytes - 1)

export interface ExecHandlers {
  onStdout?: (data: Uint8Array) => void
  /** Never called with a terminal. */
  onStderr?: (data: Uint8Array) => void
}

export class ExecSession {
  /** PID in the engine's PID namespace. */
  readonly pid: number
  /** Resolves with the exit code (128 + signal when killed); rejects with a DroverError when the session broke. */
  readonly exit: Promise<number>
  readonly #stream: FrameStream

  private constructor(pid: number, exit: Promise<number>, stream: FrameStream) {
    this.pid = pid
    this.exit = exit
    this.#stream = stream
  }

  /** Starts the command; rejects with the engine's error when it can't be started at all. */
  static async start(
    path: string,
    params: ExecParams,
    handlers: ExecHandlers,
    deadlineMs: number,
  ): Promise<ExecSession> {
    const socket = await openSocket(path, deadlineMs)
    return new Promise((resolve, reject) => {
      let ended: (code: number) => void = () => {}
      let broke: (error: DroverError) => void = () => {}
      const exit = new Promise<number>((resolveExit, rejectExit) => {
        ended = resolveExit
        broke = rejectExit
      })
      // Whoever only writes and reads must not be killed by an unhandled rejection; `exit` still rejects for those who look.
      exit.catch(() => {})
      let started = false
      const timer = setTimeout(() => {
        fail(new DroverError('TIMED_OUT', `exec in ${params.container}: the engine did not answer in ${deadlineMs} ms`))
        stream.destroy()
      }, deadlineMs)
      const fail = (error: DroverError) => {
        clearTimeout(timer)
        if (started) broke(error)
        else reject(error)
      }
      const onFrame = (frame: Frame) => {
        switch (frame.type) {
          case FrameType.stdout:
            handlers.onStdout?.(frame.payload)
            break
          case FrameType.stderr:
            handlers.onStderr?.(frame.payload)
            break
          case FrameType.exit:
            ended(Number((parse(frame.payload) as { exitCode: number }).exitCode))
            stream.end()
            break
          case FrameType.error:
            fail(DroverError.fromJSON(parse(frame.payload)))
            stream.end()
            break
          case FrameType.json: {
            const answer = parse(frame.payload) as { result?: { pid: number }; error?: unknown }
            clearTimeout(timer)
            if (answer.error) {
              reject(DroverError.fromJSON({ error: answer.error }))
              stream.end()
            } else {
              started = true
              resolve(new ExecSession(answer.result?.pid ?? 0, exit, stream))
            }
            break
          }
        }
      }
      const stream = new FrameStream(socket, {
        onFrame,
        onClose: (error) =>
          fail(
            error ??
              new DroverError('ENGINE_FAILED', `exec in ${params.container}: the engine closed the connection`, {
                retryable: true,
              }),
          ),
      })
      stream.sendJson({ id: 1, method: 'exec', params })
    })
  }

  /** Sends stdin; resolves when the engine has room for more. */
  async write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    for (let offset = 0; offset < bytes.length; offset += stdinPieceBytes) {
      this.#stream.send(FrameType.stdin, bytes.subarray(offset, offset + stdinPieceBytes))
    }
    await this.#stream.drained()
  }

  /** No more stdin. */
  end(): void {
    this.#stream.send(FrameType.stdinEnd)
  }

  resize(columns: number, rows: number): void {
    this.#stream.send(FrameType.resize, JSON.stringify({ columns, rows }))
  }

  signal(signal: number): void {
    this.#stream.send(FrameType.signal, JSON.stringify({ signal }))
  }

  /** Holds the command's output back until resume(). */
  pause(): void {
    this.#stream.pause()
  }

  resume(): void {
    this.#stream.resume()
  }

  /** Leaves: the command is hung up. */
  close(): void {
    this.#stream.destroy()
  }
}

function parse(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload).toString())
  } catch (cause) {
    return { error: { code: 'INTERNAL', message: `the engine sent a frame that is not JSON: ${cause}` } }
  }
}
