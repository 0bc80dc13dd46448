// Tells the hook (a URL, or a program; the policy's, or else that of the configuration) what the operations of the kind `machines` want,
// on the leader: each with a deadline, tried again with growing pauses, a few times, and then it has failed. The operation's id is the hook's
// idempotency key: after a change of leaders it may be told twice.

import { execFile } from 'node:child_process'
import type { MachineHookConfig, Operation } from '@drover/protocol'
import type { ReplicatedLog } from '@drover/raft'
import type { Logger } from 'pino'
import { policyOf } from '../core/scheduling-policy.ts'
import { type ClusterState, runningOperations } from '../core/state.ts'
import { submit } from './submit.ts'

const callDeadlineMs = 30_000
const maxTries = 5
const firstPauseMs = 2_000
/** Told at once; the others wait. */
const maxCalls = 4
/** Of its output or answer, what an error shows. */
const shownCharacters = 300

export interface MachineHookOptions {
  /** Where the policy names none. Null: nobody is to be told; operations end at once and say so. */
  config: MachineHookConfig | null
  log: Pick<ReplicatedLog, 'propose'>
  now(): number
  logger: Pick<Logger, 'warn'>
  firstPauseMs?: number
}

export class MachineHook {
  readonly #options: MachineHookOptions
  readonly #calls = new Set<string>()
  readonly #tries = new Map<string, { count: number; nextMs: number }>()

  constructor(options: MachineHookOptions) {
    this.#options = options
  }

  /** Begins what is due. */
  tick(state: ClusterState): void {
    const wanted = runningOperations(state).filter(({ kind }) => kind === 'machines')
    const ids = new Set(wanted.map(({ id }) => id))
    for (const id of this.#tries.keys()) if (!ids.has(id)) this.#tries.delete(id)
    for (const operation of wanted) {
      const due = (this.#tries.get(operation.id)?.nextMs ?? 0) <= this.#options.now()
      if (!due || this.#calls.has(operation.id) || this.#calls.size >= maxCalls) continue
      this.#calls.add(operation.id)
      void this.#carryOut(operation, policyOf(state).machineHook ?? this.#options.config).finally(() =>
        this.#calls.delete(operation.id),
      )
    }
  }

  async #carryOut(operation: Operation, config: MachineHookConfig | null): Promise<void> {
    const { now, logger, firstPauseMs: pauseMs = firstPauseMs } = this.#options
    const count = (this.#tries.get(operation.id)?.count ?? 0) + 1
    try {
      if (config !== null) await tell(config, operation)
      const message =
        config === null ? 'nobody is to be told: no hook is set (drover machines hook)' : 'the hook was told'
      await this.#end(operation, 'done', message, null)
    } catch (thrown) {
      const message = `${String(operation.parameters.event)} ${operation.target}: ${(thrown as Error).message}`
      logger.warn({ operation: operation.id, try: count }, message)
      this.#tries.set(operation.id, { count, nextMs: now() + pauseMs * 2 ** (count - 1) })
      if (count < maxTries) return
      const error = { code: 'INTERNAL', message: `${message}; tried ${count} times` }
      await this.#end(operation, 'failed', error.message, error).catch(() => {})
    }
  }

  #end({ id }: Operation, state: 'done' | 'failed', message: string, error: { code: string; message: string } | null) {
    const { log, now } = this.#options
    const entry = { type: 'OperationEnded', atMs: now(), operation: id, state, message, error, figures: {} } as const
    return submit(log as ReplicatedLog, entry)
  }
}

async function tell(config: MachineHookConfig, { id, parameters }: Operation): Promise<void> {
  const body = JSON.stringify({
    operation: id,
    event: parameters.event,
    reason: parameters.reason,
    ...(parameters.facts as object),
  })
  if ('url' in config) return post(config.url, body)
  const [program = '', ...args] = config.command
  await new Promise<void>((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: callDeadlineMs, killSignal: 'SIGKILL' },
      (error, _stdout, stderr) => {
        if (!error) return resolve()
        reject(new Error(`${program}: ${(stderr || error.message).trim().slice(0, shownCharacters)}`))
      },
    )
    // A program that reads nothing closes the pipe.
    child.stdin?.on('error', () => {})
    child.stdin?.end(body)
  })
}

async function post(url: string, body: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(callDeadlineMs) })
  const text = (await response.text()).slice(0, shownCharacters)
  // Without what follows the path, which may be a key.
  const { origin, pathname } = new URL(url)
  if (!response.ok) throw new Error(`${origin}${pathname} answered ${response.status}: ${text}`)
}
