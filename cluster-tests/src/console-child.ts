// `drover console` as a child of a test, with what it shows.

import { spawn } from 'node:child_process'
import { programs } from '@drover/cli/daemons'
import { waitUntil } from '@drover/testkit/lab'
import type { Test } from 'tap'
import { type Story, settleDeadlineMs } from './stories.ts'

export function openConsole(t: Test, story: Story, ...args: string[]) {
  const child = spawn(process.execPath, [programs.cli, 'console', ...args], { env: story.lab.environment })
  t.teardown(() => void child.kill('SIGKILL'))
  const seen = { text: '', code: null as number | null }
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      seen.text += data
    })
  }
  child.on('exit', (code) => {
    seen.code = code
  })
  return {
    type: (text: string) => child.stdin.write(text),
    shows: (what: RegExp) =>
      waitUntil(`the console to show ${what}`, settleDeadlineMs, async () => what.test(seen.text)).catch((error) => {
        throw new Error(`${error.message}; it shows ${JSON.stringify(seen.text)}`)
      }),
    ends: async () => {
      await waitUntil(`the console to end: ${seen.text}`, settleDeadlineMs, async () => seen.code !== null)
      return seen.code
    },
    seen,
  }
}
