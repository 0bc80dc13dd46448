// GET /v1/containers/:name/logs: the console log as text, passed on from the container's agent as fast as the client reads.

import { Readable } from 'node:stream'
import { DroverError, decodeMessage, encodeMessage, FrameType, type LogsRequest } from '@drover/protocol'
import { Type } from '@drover/schema'
import type { ServiceError } from '@grpc/grpc-js'
import type { FastifyInstance } from 'fastify'
import { type AgentStreams, callError } from '../agent-streams.ts'
import type { ControllerContext } from '../context.ts'
import { hasLeft, locate } from './locate.ts'
import { NameParams, streamRoute } from './route.ts'

/** Of a host that says again and again that it isn't there. */
const askAgainMs = 50

const LogsQuery = Type.Object({
  follow: Type.Optional(Type.String({ description: '1: goes on as the log grows' })),
  tailBytes: Type.Optional(Type.String({ pattern: '^[0-9]{1,12}$', description: 'begin with the last so many bytes' })),
})

export function logRoutes(app: FastifyInstance, context: ControllerContext, agents: AgentStreams): void {
  const facts = { summary: 'A container’s console log', params: NameParams, querystring: LogsQuery }
  app.get('/v1/containers/:name/logs', streamRoute(facts), async (request, reply) => {
    const { name } = request.params as { name: string }
    const { follow, tailBytes } = request.query as { follow?: string; tailBytes?: string }
    const wanted = {
      follow: follow === '1' || follow === 'true',
      tailBytes: tailBytes === undefined ? null : Number(tailBytes),
    }
    let cancel = () => {}
    request.raw.socket.once('close', () => cancel())
    const open: OpenLog = async (offset) => {
      const { id, host, address } = await locate(context, name)
      const whole: LogsRequest = { container: id, ...wanted, ...(offset === null ? {} : { offset }) }
      const call = agents.logs(address, encodeMessage(FrameType.json, JSON.stringify(whole)))
      cancel = () => call.cancel()
      if (request.raw.socket.destroyed) cancel()
      return payloads(call, `read the log of ${name}`, host)
    }
    const text = Readable.from(wherever(open, await open(null)), { objectMode: false })
    await firstByteOrError(text)
    return reply.type('text/plain; charset=utf-8').send(text)
  })
}

type OpenLog = (offset: number | null) => Promise<AsyncGenerator<Buffer>>

/** The log goes along when its container moves: it is read on there. */
async function* wherever(open: OpenLog, begun: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  for (let log = begun; ; ) {
    try {
      return yield* log
    } catch (thrown) {
      if (!hasLeft(thrown)) throw thrown
      const { offset } = thrown.context
      await new Promise((resolve) => setTimeout(resolve, askAgainMs))
      log = await open(typeof offset === 'number' ? offset : null)
    }
  }
}

async function* payloads(call: AsyncIterable<Buffer>, doing: string, host: string): AsyncGenerator<Buffer> {
  try {
    for await (const message of call) {
      const { type, payload } = decodeMessage(message)
      if (type === FrameType.stdout || type === FrameType.stderr) {
        if (payload.length > 0) yield Buffer.from(payload)
      } else if (type === FrameType.error) {
        throw DroverError.fromJSON(JSON.parse(Buffer.from(payload).toString()))
      } else if (type === FrameType.exit) return
    }
  } catch (thrown) {
    throw thrown instanceof DroverError ? thrown : callError(thrown as ServiceError, doing, host)
  }
}

/** How long an empty log that is followed keeps the answer's head waiting for a possible error. */
const headPatienceMs = 300

/** An error before the first byte can still be told with its status. */
function firstByteOrError(text: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(finish, headPatienceMs)
    function finish() {
      clearTimeout(timer)
      text.off('error', fail).off('readable', finish).off('end', finish)
      resolve()
    }
    function fail(error: Error) {
      clearTimeout(timer)
      reject(error)
    }
    text.once('error', fail).once('readable', finish).once('end', finish)
  })
}
