// A shell on a terminal, behind SSH: what is typed into it is answered by the same shell, which counts in a variable.

import { spawn } from 'node:child_process'
import type { Check } from './main.ts'

const answerDeadlineMs = 45_000
const keptCharacters = 20_000

export async function shellClient([program = '', ...args]: string[]): Promise<Check> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let heard = ''
  let ended = ''
  let waiting: (() => void) | null = null
  const hear = (data: Buffer) => {
    heard = (heard + data.toString()).slice(-keptCharacters)
    waiting?.()
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  child.stdin.on('error', () => {})
  child.on('exit', (code) => {
    ended = `the session ended with ${code}`
    waiting?.()
  })
  let typed = 0
  return async () => {
    typed++
    // What is echoed doesn't look like the answer.
    child.stdin.write('echo "typed:$((++typed)):"\n')
    const deadline = performance.now() + answerDeadlineMs
    while (!heard.includes(`typed:${typed}:`)) {
      if (ended !== '') throw new Error(`${ended}: ${heard.slice(-300)}`)
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`the shell does not answer: ${heard.slice(-300)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        waiting = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }
}
