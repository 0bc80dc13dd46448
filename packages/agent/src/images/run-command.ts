// Runs a program of the host (tar, mmdebstrap) with a deadline: no shell, standard input closed, the end of its standard error kept
// for the message when it fails. Lines of its output can be watched for progress.

import { spawn } from 'node:child_process'
import { DroverError } from '@drover/protocol'

export interface CommandOptions {
  deadlineMs: number
  signal?: AbortSignal
  onLine?: (line: string) => void
}

const keptErrorCharacters = 600

export function runCommand(command: string, args: string[], options: CommandOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      detached: true,
    })
    let errorTail = ''
    let timedOut = false
    // The whole group: what it has started must not outlive it.
    const kill = () => {
      if (child.pid && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
    }
    const timer = setTimeout(() => {
      timedOut = true
      kill()
    }, options.deadlineMs)
    if (options.signal?.aborted) kill()
    options.signal?.addEventListener('abort', kill, { once: true })
    child.stderr.on('data', (chunk: Buffer) => {
      errorTail = (errorTail + chunk.toString()).slice(-keptErrorCharacters)
      const line = errorTail.trimEnd().split('\n').at(-1)
      if (line) options.onLine?.(line)
    })
    const settle = (error: DroverError | null) => {
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', kill)
      if (error) reject(error)
      else resolve()
    }
    child.on('error', (cause) =>
      settle(new DroverError('ENGINE_FAILED', `run ${command}: ${cause.message}`, { cause })),
    )
    child.on('close', (code, signal) => {
      if (code === 0) return settle(null)
      const end = timedOut ? `did not end within ${options.deadlineMs} ms` : `ended with ${signal ?? `status ${code}`}`
      settle(new DroverError(timedOut ? 'TIMED_OUT' : 'ENGINE_FAILED', `${command} ${end}: ${errorTail.trim()}`))
    })
  })
}
