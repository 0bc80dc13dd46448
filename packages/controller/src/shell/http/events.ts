// GET /v1/events: server-sent events from any controller, from what it has applied itself. A client that doesn't read is cut
// off rather than buffered for; it goes on by Last-Event-ID.

import { type ClusterEvent, DroverError, type Operation } from '@drover/protocol'
import { type Static, Type } from '@drover/schema'
import type { FastifyInstance } from 'fastify'
import type { ControllerContext } from '../context.ts'
import { streamRoute } from './route.ts'

const maxListeners = 512
/** Keeps connections through proxies and tells clients that we are there. */
const heartbeatMs = 5_000
const maxBufferedBytes = 1 << 20

const EventQuery = Type.Object({
  operation: Type.Optional(Type.String({ description: 'only events of this operation and of those that it started' })),
  alone: Type.Optional(Type.Literal('true', { description: 'not of those that it started' })),
})
type EventQuery = Static<typeof EventQuery>

export function eventRoutes(app: FastifyInstance, context: ControllerContext): void {
  const { events } = context
  const facts = { summary: 'What happens, as server-sent events; takes Last-Event-ID', querystring: EventQuery }
  app.get('/v1/events', streamRoute(facts), (request, reply) => {
    if (events.listeners >= maxListeners) {
      throw new DroverError('LIMIT_REACHED', `listen to events: ${maxListeners} clients listen already, the limit`)
    }
    const query = request.query as EventQuery
    const after = lastEventId(request.headers['last-event-id'])
    reply.hijack()
    const out = reply.raw
    out.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    out.write(': drover events\n\n')
    const send = (batch: readonly ClusterEvent[]) => {
      const { operations } = context.machine.state.tables
      const wanted = batch.filter((event) => isWanted(event, query, operations))
      if (wanted.length > 0) out.write(wanted.map(format).join(''))
      if (out.writableLength > maxBufferedBytes) out.destroy()
    }
    if (after !== null) send(events.after(after))
    const stopListening = events.listen(send)
    const heartbeat = setInterval(() => out.write(':\n\n'), heartbeatMs)
    out.on('close', () => {
      clearInterval(heartbeat)
      stopListening()
    })
    out.on('error', () => out.destroy())
  })
}

const format = (event: ClusterEvent): string => `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`

export function isWanted(
  event: ClusterEvent,
  { operation, alone }: EventQuery,
  operations: ReadonlyMap<string, Pick<Operation, 'parent'>>,
): boolean {
  if (operation === undefined || event.operation === operation) return true
  return alone === undefined && event.operation !== null && operations.get(event.operation)?.parent === operation
}

function lastEventId(header: string | string[] | undefined): number | null {
  if (header === undefined || header === '') return null
  const id = Number(header)
  if (Number.isSafeInteger(id) && id >= 0) return id
  throw new DroverError(
    'BAD_REQUEST',
    `header last-event-id: must be a log index; it is ${String(header).slice(0, 80)}`,
  )
}
