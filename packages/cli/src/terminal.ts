// The outside world as a command sees it: streams, environment and Ctrl-C. An argument everywhere, so that tests run commands
// in-process and read what they printed.

import type { Readable, Writable } from 'node:stream'

export interface OutputStream extends Writable {
  isTTY?: boolean
  columns?: number
  rows?: number
}

export interface InputStream extends Readable {
  isTTY?: boolean
  setRawMode?(on: boolean): unknown
}

export interface Terminal {
  stdin: InputStream
  stdout: OutputStream
  stderr: OutputStream
  environment: NodeJS.ProcessEnv
  /** Calls `listener` on a signal of this process until the returned function is called. */
  onSignal(signal: NodeJS.Signals, listener: () => void): () => void
}

export function processTerminal(): Terminal {
  // A reader that goes away (`drover ls | head -1`) is no error.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0)
      throw error
    })
  }
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    onSignal(signal, listener) {
      process.on(signal, listener)
      return () => process.off(signal, listener)
    },
  }
}
