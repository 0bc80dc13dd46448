// Moves one container a→b→c→a, round after round, and asks every row in it after each move. A move that fails is laid at the door of
// the only row, or, with several, answered with `suspects`: then each must be tried alone.

import type { DroverClient } from '@drover/client'
import type { Operation } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import type { Subject } from './subject.ts'

const moveDeadlineMs = 180_000
const deleteDeadlineMs = 60_000

export interface RoundOptions {
  rounds: number
  onProgress: (line: string) => void
}

/** True when the rows could not be told apart: a move of several rows failed. */
export async function goRound(
  lab: Lab,
  client: DroverClient,
  subject: Subject,
  { rounds, onProgress }: RoundOptions,
): Promise<boolean> {
  try {
    await subject.prepare()
    if (subject.tallies.every(({ absent }) => absent !== '')) return false
    await ask(subject, 'before the first move')
    for (let move = 1; move <= rounds * attemptsPerRound(lab, subject); move++) {
      const { host } = await client.container(subject.name)
      const at = lab.hosts.findIndex(({ name }) => name === host)
      const to = lab.hosts[(at + 1) % lab.hosts.length]?.name as string
      const ended = await moved(client, subject.name, to)
      if (ended.state === 'done') {
        for (const tally of subject.tallies) tally.moves++
        await ask(subject, `move ${move}, ${host} → ${to}`)
        continue
      }
      const reason = ended.error ? `${ended.error.code}: ${ended.error.message}` : `the move ended ${ended.state}`
      if (subject.tallies.length > 1) {
        onProgress(`${subject.name}: ${reason}`)
        return true
      }
      judge(subject, reason)
      await ask(subject, `after the refusal of move ${move}`)
    }
    if (subject.finish) note(subject, 'after the last move', await subject.finish())
    return false
  } catch (error) {
    for (const tally of subject.tallies) tally.fail((error as Error).message)
    return subject.tallies.length > 1
  } finally {
    subject.close()
    await remove(client, subject.name)
  }
}

/** A refusal leaves it where it was, so that once a round is enough. */
function attemptsPerRound(lab: Lab, { tallies }: Subject): number {
  return tallies.some(({ row }) => row.expected.kind === 'refused') ? 1 : lab.hosts.length
}

async function moved(client: DroverClient, name: string, host: string): Promise<Operation> {
  const operation = await client.move(name, { host })
  return await client.waitOperation(operation.id, { deadlineMs: moveDeadlineMs })
}

/** The only row is expected to be refused by this reason, or it fails. */
function judge(subject: Subject, reason: string): void {
  const [tally] = subject.tallies
  const expected = tally?.row.expected
  if (expected?.kind === 'refused' && expected.reason.test(reason)) tally?.refuse(reason)
  else tally?.fail(reason)
}

async function ask(subject: Subject, when: string): Promise<void> {
  note(subject, when, await subject.check())
}

function note(subject: Subject, when: string, complaints: Map<string, string>): void {
  for (const tally of subject.tallies) {
    const complaint = complaints.get(tally.row.name)
    if (complaint !== undefined) tally.fail(`${when}, ${complaint}`)
  }
}

async function remove(client: DroverClient, name: string): Promise<void> {
  try {
    await client.waitOperation((await client.delete(name)).id, { deadlineMs: deleteDeadlineMs })
  } catch {
    // The laboratory goes anyway; the next container has another name.
  }
}
