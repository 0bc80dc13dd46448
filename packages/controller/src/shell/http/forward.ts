// Only the leader answers for the committed state. A follower sends a request on to the leader's API, and waits out an
// election for a moment. `?stale=1` reads are answered from this controller's own state, marked as such by the asker.

import { randomUUID } from 'node:crypto'
import { DroverError, forwardedHeader, idempotencyHeader } from '@drover/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { apiUrl, type ControllerContext } from '../context.ts'

/** An election takes about a second; after this there is no majority. */
const electionPatienceMs = 3_000
const retryPauseMs = 50
/** For the leader's answer; its own commit deadline is shorter. */
const forwardTimeoutMs = 10_000
const barrierDeadlineMs = 2_000

/** A preHandler: returns when the handler may run here, and has replied when not. */
export function leaderOnly(context: ControllerContext) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    if (request.method === 'GET' && (request.query as { stale?: string }).stale === '1') return undefined
    const endsAtMs = performance.now() + electionPatienceMs
    // Repeating a write is safe only under one key.
    const key = request.headers[idempotencyHeader] ?? randomUUID()
    request.headers[idempotencyHeader] = key
    for (;;) {
      const { role, leader } = context.log.status()
      if (role === 'leader' && (await readsAreCurrent(context, request))) return undefined
      if (role !== 'leader' && request.headers[forwardedHeader] !== undefined) throw notLeader(context)
      const member = context.config.raft?.members.find(
        ({ id, name }) => id === leader?.id && name !== context.config.name,
      )
      const answer = role !== 'leader' && member ? await forward(context, request, member.api, String(key)) : null
      if (answer) return reply.status(answer.status).type('application/json').send(answer.body)
      if (performance.now() > endsAtMs) throw noLeader(context)
      await new Promise((resolve) => setTimeout(resolve, retryPauseMs))
    }
  }
}

/** The state of the leader, as JSON, for streams that any controller serves. */
export async function readFromLeader(context: ControllerContext, path: string): Promise<unknown> {
  const { leader } = context.log.status()
  const member = context.config.raft?.members.find(({ id, name }) => id === leader?.id && name !== context.config.name)
  if (!member) return null
  const answer = await exchange(context, 'GET', apiUrl(member.api) + path, {}, undefined)
  if (!answer || answer.status >= 500 || answer.status === 421) return null
  const body: unknown = JSON.parse(answer.body)
  if (answer.status >= 400) throw DroverError.fromJSON(body)
  return body
}

/** Everything committed before the read is applied here, by a barrier that reads of the same moment share. */
async function readsAreCurrent(context: ControllerContext, request: FastifyRequest): Promise<boolean> {
  if (request.method !== 'GET') return true
  try {
    await context.log.barrier(barrierDeadlineMs)
    return true
  } catch (thrown) {
    if (DroverError.from(thrown).retryable) return false
    throw thrown
  }
}

/** null: that one doesn't lead either, or doesn't answer; ask again. */
async function forward(
  context: ControllerContext,
  request: FastifyRequest,
  api: string,
  key: string,
): Promise<{ status: number; body: string } | null> {
  const body = request.body === undefined || request.body === null ? undefined : JSON.stringify(request.body)
  const answer = await exchange(context, request.method, apiUrl(api) + request.url, { [idempotencyHeader]: key }, body)
  return answer === null || answer.status === 421 ? null : answer
}

async function exchange(
  { config, log }: ControllerContext,
  method: string,
  url: string,
  headers: Record<string, string>,
  body: string | undefined,
): Promise<{ status: number; body: string } | null> {
  // An answer of one that leads no more may never come (it is cut off): ask the next one as soon as there is one.
  const { leader } = log.status()
  const given = new AbortController()
  const stopWatching = log.onStatus((status) => {
    if (status.leader !== null && status.leader.id !== leader?.id) given.abort()
  })
  // AbortSignal.timeout would go off for every request that was answered long ago.
  const timer = setTimeout(() => given.abort(), forwardTimeoutMs)
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        authorization: `Bearer ${config.secret}`,
        [forwardedHeader]: config.name,
      },
      ...(body === undefined ? {} : { body }),
      signal: given.signal,
    })
    return { status: response.status, body: await response.text() }
  } catch {
    return null
  } finally {
    clearTimeout(timer)
    stopWatching()
  }
}

function notLeader(context: ControllerContext): DroverError {
  const leader = context.log.status().leader
  const name = context.config.raft?.members.find(({ id }) => id === leader?.id)?.name ?? null
  return new DroverError('NOT_LEADER', `controller ${context.config.name} is not the leader`, {
    context: { leader: name },
  })
}

const noLeader = ({ config }: ControllerContext) =>
  new DroverError('NO_QUORUM', `controller ${config.name} finds no leader: a majority of controllers can’t be reached`)
