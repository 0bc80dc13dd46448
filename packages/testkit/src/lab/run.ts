// Runs a program to its end and gives what it said; used for `ip` and for the CLI.

import { spawn } from 'node:child_process'
import { DroverError } from '@drover/protocol'

export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

export interface RunOptions {
  input?: string
  env?: NodeJS.ProcessEnv
  deadlineMs?: number
  cwd?: string
}

const defaultDeadlineMs = 60_000

/** Resolves with the exit code and output whatever they are; a program that exceeds the deadline is killed: code 137. */
export function run(program: string, args: string[], options: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), options.deadlineMs ?? defaultDeadlineMs)
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (data: Buffer) => stdout.push(data))
    child.stderr.on('data', (data: Buffer) => stderr.push(data))
    child.on('error', (error) => {
      clearTimeout(timer)
      reject(new DroverError('INTERNAL', `run ${program}: ${error.message}`, { cause: error }))
    })
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({
        code: code ?? (signal === 'SIGKILL' ? 137 : 143),
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(options.input ?? '')
  })
}

/** As run, but anything other than exit code 0 is an error that shows what the program said. */
export async function must(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  const outcome = await run(program, args, options)
  if (outcome.code !== 0) {
    throw new DroverError(
      'INTERNAL',
      `${program} ${args.join(' ')} ended with ${outcome.code}: ${outcome.stderr.trim() || outcome.stdout.trim()}`,
    )
  }
  return outcome.stdout
}
