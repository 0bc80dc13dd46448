// A question before something that nothing brings back. Without a terminal there is nobody to ask: a script means what it says.

import { createInterface } from 'node:readline/promises'
import type { Session } from './session.ts'

export async function confirm(session: Session, question: string): Promise<boolean> {
  const { stdin, stderr } = session.terminal
  if (session.output.json || !stdin.isTTY || !stderr.isTTY) return true
  const questions = createInterface({ input: stdin, output: stderr })
  try {
    const answer = await questions.question(`${question} [y/N] `)
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    questions.close()
  }
}
