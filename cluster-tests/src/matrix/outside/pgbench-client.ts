// pgbench as a child: it must run through all moves, still commit, and never say that a transaction or a client failed.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Check } from './main.ts'

const progressDeadlineMs = 45_000

export async function pgbenchClient([program = '', ...args]: string[]): Promise<Check> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let trouble = ''
  let committing: (() => void) | null = null
  const fail = (reason: string) => {
    if (trouble === '') trouble = reason
    committing?.()
  }
  createInterface({ input: child.stderr }).on('line', (line) => {
    const progress = /^progress: .*?, ([\d.]+) tps/.exec(line)
    const failed = /, (\d+) failed/.exec(line)
    if (failed !== null && failed[1] !== '0') fail(line)
    else if (progress === null && /error|fatal|abort|fail|lost/i.test(line)) fail(line)
    else if (progress !== null && Number(progress[1]) > 0) committing?.()
  })
  child.on('exit', (code) => fail(`pgbench ended with ${code}`))
  return async () => {
    if (trouble === '') {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => fail(`no transaction within ${progressDeadlineMs} ms`), progressDeadlineMs)
        committing = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    if (trouble !== '') throw new Error(trouble)
  }
}
