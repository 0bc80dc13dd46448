// The same thing to many containers at once, bounded; what each came to, in the order they were named.

import { operationFailure } from '@drover/client'
import type { Operation } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { complain, exitCodes, hintFor, isOwnDeadline } from './failure.ts'
import { awaitEnd, withInterrupt } from './follow-operation.ts'
import { bar, shareOf } from './output/bars.ts'
import type { Session } from './session.ts'
import type { WaitFlags } from './wait-options.ts'

/** Enough to keep a cluster busy from one client, few enough that nobody else waits. */
const parallel = 8
/** Of many at once, none may take the one status line. */
const quiet = { onProgress: () => true }

export interface Outcome {
  name: string
  /** Null when it was refused before it began. */
  operation: Operation | null
  error: { code: string; message: string } | null
}

export interface Errand {
  /** E.g. `starting`, for the status line. */
  doing: string
  /** E.g. `started`, for the line of each that went well. */
  done: string
  begin: (name: string) => Promise<Operation>
}

/** Does it, prints one line each (or the JSON array) and gives the exit code. */
export async function followMany(
  session: Session,
  names: readonly string[],
  flags: WaitFlags,
  errand: Errand,
): Promise<number> {
  const { outcomes, exitCode } = await runMany(session, names, flags, errand)
  const { output } = session
  if (output.json) output.document(outcomes)
  else {
    for (const { name, operation, error } of outcomes) {
      if (!error) output.line(`${name} ${flags.wait ? errand.done : `${errand.doing}, operation ${operation?.id}`}`)
    }
  }
  return exitCode
}

/** Failures are said on stderr as they happen. */
export async function runMany(session: Session, names: readonly string[], flags: WaitFlags, errand: Errand) {
  const outcomes: Outcome[] = names.map((name) => ({ name, operation: null, error: null }))
  const failures: DroverError[] = []
  const pending = new Set<Operation>()
  const { output } = session
  let ended = 0
  const showProgress = (name: string) => {
    if (names.length === 1) return
    output.statusLine.show(
      `${errand.doing} ${bar(shareOf(ended, names.length), 20)} ${ended}/${names.length}  ${name}`,
      null,
    )
  }
  const one = async (outcome: Outcome, signal: AbortSignal) => {
    showProgress(outcome.name)
    try {
      const begun = await errand.begin(outcome.name)
      outcome.operation = begun
      pending.add(begun)
      outcome.operation = await awaitEnd(session, begun, flags, signal, names.length > 1 ? quiet : {})
      pending.delete(begun)
      const failure = operationFailure(outcome.operation)
      if (failure) throw failure
    } catch (thrown) {
      if (signal.aborted) throw thrown
      const error = DroverError.from(thrown)
      failures.push(error)
      outcome.error = { code: error.code, message: error.message }
      output.statusLine.above(() =>
        complain(session.terminal, error.message, failures.length === 1 ? hintFor(error) : null),
      )
    }
    ended++
    showProgress(outcome.name)
  }
  await withInterrupt(
    session,
    () => [...pending],
    (signal) => bounded(outcomes, (outcome) => one(outcome, signal)),
  )
  output.statusLine.clear()
  return { outcomes, exitCode: exitCodeFor(failures) }
}

async function bounded<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]()
  const worker = async () => {
    for (const item of queue) await work(item)
  }
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker))
}

function exitCodeFor(failures: readonly DroverError[]): number {
  if (failures.length === 0) return exitCodes.ok
  return failures.some(isOwnDeadline) ? exitCodes.deadline : exitCodes.failed
}
