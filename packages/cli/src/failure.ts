// How a command ends when it can't do what it was asked: one line that says what went wrong, one that says what to do, and
// the exit code.

import type { ErrorCode } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import { makePalette } from './output/palette.ts'
import type { Terminal } from './terminal.ts'

export const exitCodes = { ok: 0, failed: 1, usage: 2, deadline: 124, interrupted: 130 } as const

/** The command line asks for something that can't be meant; exit code 2. */
export class UsageError extends Error {
  readonly hint: string | null

  constructor(message: string, hint: string | null = null) {
    super(message)
    this.name = 'UsageError'
    this.hint = hint
  }
}

/** Ctrl-C during a wait: what was begun goes on. Already explained when it is thrown. */
export class Interrupted extends Error {}

/** Says it on stderr (and with --json also as an ErrorBody on stdout) and gives the exit code. */
export function reportFailure(terminal: Terminal, thrown: unknown, json: boolean): number {
  if (thrown instanceof Interrupted) return exitCodes.interrupted
  if (thrown instanceof UsageError) {
    complain(terminal, thrown.message, thrown.hint)
    return exitCodes.usage
  }
  const error = DroverError.from(thrown)
  complain(terminal, error.message, hintFor(error))
  if (error.code === 'INTERNAL' && terminal.environment.DROVER_DEBUG) terminal.stderr.write(`${chain(error)}\n`)
  if (json) terminal.stdout.write(`${JSON.stringify(error)}\n`)
  return isOwnDeadline(error) ? exitCodes.deadline : exitCodes.failed
}

/** The deadline of this command's own wait has passed, not one within the cluster. */
export function isOwnDeadline(error: DroverError): boolean {
  return error.code === 'TIMED_OUT' && error.context.deadlineMs !== undefined
}

export function complain(terminal: Terminal, message: string, hint: string | null): void {
  const palette = makePalette(terminal.stderr.isTTY === true, terminal.environment)
  terminal.stderr.write(`${palette.red('drover:')} ${message}\n`)
  if (hint) terminal.stderr.write(`${palette.dim(hint)}\n`)
}

/** What a person can do about it. */
export function hintFor(error: DroverError): string | null {
  const hint = hints[error.code]
  return typeof hint === 'function' ? hint(error) : (hint ?? null)
}

const showOperation = (error: DroverError) =>
  typeof error.context.operation === 'string' ? `see it: drover ops show ${error.context.operation}` : null

/** What `drover image build` knows. */
export const recipes = ['busybox', 'debian'] as const

const hints: Partial<Record<ErrorCode, string | ((error: DroverError) => string | null)>> = {
  NOT_CONFIGURED: 'start a cluster on this machine: drover up; or point DROVER_CONFIG at a client.json',
  API_UNREACHABLE: 'is the cluster up? see what is wrong: drover doctor; start it: drover up',
  UNAUTHENTICATED: 'the secret in your client.json is not the one of this cluster; drover up writes a fresh one',
  HOST_NOT_FOUND: 'see which hosts there are: drover host ls',
  TOKEN_REFUSED: 'see which tokens there are: drover host token ls; make one: drover host token create NAME',
  CONTAINER_NOT_FOUND: 'see which containers there are: drover ls',
  IMAGE_NOT_FOUND: ({ context: { image } }) => {
    const recipe = recipes.find((each) => each === image) ?? 'busybox'
    return `see which images there are: drover image ls; make one: drover image build ${recipe}, or drover image import`
  },
  OPERATION_NOT_FOUND: 'see what is going on: drover ops ls',
  NAME_TAKEN: 'choose another name, or delete the one that has it: drover delete NAME',
  SAME_HOST: 'leave the host out to let the scheduler choose another: drover move NAME',
  NO_CAPACITY: refusedHosts,
  BUSY: (error) => showOperation(error) ?? 'see what is going on: drover ops ls',
  NO_QUORUM: 'nothing was changed; see which controllers are up: drover status',
  HOST_UNREACHABLE: 'see whether the host is ready: drover host ls',
  NOT_MIGRATABLE: 'see why, and what works instead: drover preflight NAME; what its host lacks: drover doctor, there',
  TIMED_OUT: (error) => {
    const { operation } = error.context
    if (!isOwnDeadline(error)) return showOperation(error)
    return typeof operation === 'string'
      ? `wait on: drover ops wait ${operation}; or stop it: drover ops cancel ${operation}`
      : null
  },
  INTERNAL: 'this is a defect of drover; DROVER_DEBUG=1 shows where it comes from',
  CHECKPOINT_FAILED: showOperation,
  RESTORE_FAILED: showOperation,
  TRANSFER_FAILED: showOperation,
  ENGINE_FAILED: showOperation,
}

/** The context of NO_CAPACITY names each host and its refusal, in one of the forms that a placement takes. */
function refusedHosts(error: DroverError): string {
  const { hosts } = error.context
  if (!Array.isArray(hosts) || hosts.length === 0) return 'see how full the hosts are: drover host ls'
  return hosts
    .map((host: { host?: string; refusal?: string | null; detail?: string | null }) => {
      return `  ${host.host}: ${host.refusal ?? 'feasible'}${host.detail ? ` (${host.detail})` : ''}`
    })
    .join('\n')
}

function chain(error: unknown): string {
  const lines: string[] = []
  for (let each = error; each instanceof Error; each = each.cause) lines.push(each.stack ?? each.message)
  return lines.join('\ncaused by: ')
}
