// Waits for an operation while a person watches: one status line, Ctrl-C that says what goes on, and a failed operation as the
// error that it is.

import { operationFailure } from '@drover/client'
import type { Operation } from '@drover/protocol'
import { complain, Interrupted } from './failure.ts'
import { bar, shareOf } from './output/bars.ts'
import type { Session } from './session.ts'
import type { WaitFlags } from './wait-options.ts'

export interface FollowHooks {
  /** Called with each new state; the status line is drawn by default, and not when this returns true. */
  onProgress?: (operation: Operation) => boolean
}

/** The operation at its end, however it ended; with --no-wait, as it is now. */
export function followOperation(
  session: Session,
  operation: Operation,
  flags: WaitFlags,
  hooks: FollowHooks = {},
): Promise<Operation> {
  const pending = () => [operation]
  return withInterrupt(session, pending, (signal) => awaitEnd(session, operation, flags, signal, hooks))
}

/** The same without minding Ctrl-C: for those who follow several and mind it themselves. */
export async function awaitEnd(
  session: Session,
  operation: Operation,
  flags: WaitFlags,
  signal: AbortSignal,
  hooks: FollowHooks = {},
): Promise<Operation> {
  if (!flags.wait || operation.state !== 'running') return operation
  const client = await session.client()
  const { statusLine } = session.output
  const show = (now: Operation) => {
    const shown = hooks.onProgress?.(now) === true
    if (!shown && now.state === 'running')
      statusLine.show(describeProgress(now), `${now.kind} ${now.target}: ${now.phase}`)
  }
  const deadline = flags.timeout === undefined ? {} : { deadlineMs: flags.timeout }
  const ended = await client.waitOperation(operation.id, { signal, onProgress: show, ...deadline })
  if (!hooks.onProgress) statusLine.clear()
  return ended
}

/** The same, and throws when it did not end well. */
export async function followToSuccess(
  session: Session,
  operation: Operation,
  flags: WaitFlags,
  hooks: FollowHooks = {},
): Promise<Operation> {
  const ended = await followOperation(session, operation, flags, hooks)
  const failure = operationFailure(ended)
  if (failure) throw failure
  return ended
}

/** `move web-1  precopying`, and a bar once there is more than one step to count. */
export function describeProgress(operation: Operation): string {
  const { kind, target, phase, progress } = operation
  const { done, total, message } = progress
  const counted = total > 1 ? ` ${bar(shareOf(done, total), 20)} ${done}/${total}` : ''
  const words = message !== '' && message !== phase ? `${phase}: ${message}` : phase
  return `${kind} ${target}${counted}  ${words}`
}

/** Runs `work`; at Ctrl-C it is given up, and the person is told what goes on without it and how to stop that. */
export async function withInterrupt<Result>(
  session: Session,
  pending: () => readonly Operation[],
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const interrupt = new AbortController()
  const off = session.terminal.onSignal('SIGINT', () => interrupt.abort(new Interrupted()))
  try {
    return await work(interrupt.signal)
  } catch (error) {
    if (interrupt.signal.aborted) {
      session.output.statusLine.clear()
      explainInterrupt(session, pending())
      throw new Interrupted()
    }
    throw error
  } finally {
    off()
  }
}

function explainInterrupt(session: Session, pending: readonly Operation[]): void {
  const [first, second] = pending
  if (!first) complain(session.terminal, 'interrupted; nothing is under way', null)
  else if (second) {
    const hint = 'see them: drover ops ls; stop one: drover ops cancel ID'
    complain(session.terminal, `interrupted; ${pending.length} operations go on`, hint)
  } else {
    const hint = `watch it: drover ops wait ${first.id}\nstop it:  drover ops cancel ${first.id}`
    complain(session.terminal, `interrupted; ${first.kind} ${first.target} goes on`, hint)
  }
}
