// /v1/uploads: bytes for a host, and /v1/images/:name/content: bytes from one, in pieces of a mebibyte at most (protocol/bulk.ts). Any
// controller serves them, and none keeps anything of them: an upload is named by its id and its host.

import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import {
  type BulkAnswer,
  type BulkHead,
  bulkPieceBytes,
  DroverError,
  decodeBulk,
  decodeMessage,
  encodeBulk,
  encodeMessage,
  FrameType,
  type Image,
  Name,
  paths,
  sizeHeader,
  Upload,
  UploadRequest,
  uploadPattern,
} from '@drover/protocol'
import { Type } from '@drover/schema'
import type { ServiceError } from '@grpc/grpc-js'
import type { FastifyInstance } from 'fastify'
import { notJoined } from '../../core/views.ts'
import { type AgentStreams, callError } from '../agent-streams.ts'
import type { ControllerContext } from '../context.ts'
import { readFromLeader } from './forward.ts'
import { readyHost } from './images.ts'
import { NameParams, streamRoute } from './route.ts'

const UploadParams = Type.Object({ id: Type.String({ pattern: uploadPattern }) })
const digits = Type.String({ pattern: '^[0-9]{1,15}$' })

export function uploadRoutes(app: FastifyInstance, context: ControllerContext, agents: AgentStreams): void {
  app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_, body, done) => done(null, body))
  app.post(
    paths.uploads,
    { schema: { summary: 'A place for what is sent to a host', body: UploadRequest, response: { 200: Upload } } },
    async (request): Promise<Upload> => {
      const { host } = request.body as UploadRequest
      return { upload: randomBytes(16).toString('hex'), host: readyHost(context, host, 'upload'), receivedBytes: 0 }
    },
  )
  const facts = { params: UploadParams, querystring: Type.Object({ host: Name, offset: Type.Optional(digits) }) }
  app.put(
    '/v1/uploads/:id',
    streamRoute({ ...facts, summary: 'A piece of an upload, at `offset`; as often as need be' }),
    async (request) => {
      const { id, host, offset } = { ...(request.params as { id: string }), ...(request.query as UploadQuery) }
      if (!Buffer.isBuffer(request.body))
        throw new DroverError('BAD_REQUEST', 'body: must be application/octet-stream, up to 1 MiB')
      const head: BulkHead = { kind: 'write', upload: id, offset: Number(offset ?? 0) }
      const { answer } = await ask(context, agents, host, head, request.body)
      return { upload: id, host, receivedBytes: answer.receivedBytes ?? 0 }
    },
  )
  app.get('/v1/uploads/:id', streamRoute({ ...facts, summary: 'How much of an upload is there' }), async (request) => {
    const { id, host } = { ...(request.params as { id: string }), ...(request.query as UploadQuery) }
    const { answer } = await ask(context, agents, host, { kind: 'status', upload: id })
    return { upload: id, host, receivedBytes: answer.receivedBytes ?? 0 }
  })
  app.delete('/v1/uploads/:id', streamRoute({ ...facts, summary: 'Removes what lies there' }), async (request) => {
    const { id, host } = { ...(request.params as { id: string }), ...(request.query as UploadQuery) }
    await ask(context, agents, host, { kind: 'remove', upload: id })
    return { upload: id, host, receivedBytes: 0 }
  })
  app.get(
    '/v1/uploads/:id/content',
    streamRoute({ ...facts, summary: 'What an export has left there, from `offset` on' }),
    async (request, reply) => {
      const { id, host, offset } = { ...(request.params as { id: string }), ...(request.query as UploadQuery) }
      const { answer } = await ask(context, agents, host, { kind: 'status', upload: id })
      const sizeBytes = answer.receivedBytes ?? 0
      if (sizeBytes === 0) throw new DroverError('TRANSFER_FAILED', `read upload ${id} on ${host}: it is not there`)
      const piece = (from: number): BulkHead => ({ kind: 'read', upload: id, offset: from, limit: bulkPieceBytes })
      const read = (from: number) => ask(context, agents, host, piece(from))
      const bytes = piecesFrom(read, `upload ${id} on ${host}`, sizeBytes, Number(offset ?? 0))
      return reply
        .type('application/octet-stream')
        .header(sizeHeader, String(sizeBytes))
        .send(Readable.from(bytes, { objectMode: false }))
    },
  )
  const content = { params: NameParams, querystring: Type.Object({ offset: Type.Optional(digits) }) }
  app.get(
    '/v1/images/:name/content',
    streamRoute({ ...content, summary: 'The layer of an image: a tar of its root file system, from `offset` on' }),
    async (request, reply) => {
      const { name } = request.params as { name: string }
      const { digest, sizeBytes, host } = await whereImageIs(context, name)
      const from = Number((request.query as UploadQuery).offset ?? 0)
      const piece = (offset: number): BulkHead => ({ kind: 'image', digest, offset, limit: bulkPieceBytes })
      const read = (offset: number) => ask(context, agents, host, piece(offset))
      const bytes = Readable.from(piecesFrom(read, `image ${digest} on ${host}`, sizeBytes, from), {
        objectMode: false,
      })
      return reply.type('application/octet-stream').header(sizeHeader, String(sizeBytes)).send(bytes)
    },
  )
}

interface UploadQuery {
  host: string
  offset?: string
}

async function* piecesFrom(
  read: (offset: number) => Promise<{ bytes: Buffer }>,
  what: string,
  sizeBytes: number,
  from: number,
): AsyncGenerator<Buffer> {
  for (let offset = from; offset < sizeBytes; ) {
    const { bytes } = await read(offset)
    if (bytes.length === 0) throw new DroverError('TRANSFER_FAILED', `read ${what}: it ends at byte ${offset}`)
    offset += bytes.length
    yield bytes
  }
}

/** As the leader knows the image; a host that holds it and is heard. */
async function whereImageIs(context: ControllerContext, name: string): Promise<Image & { host: string }> {
  const { tables } = context.machine.state
  const leads = context.log.status().role === 'leader'
  const images = leads ? null : ((await readFromLeader(context, paths.images)) as Image[] | null)
  const image = images === null ? tables.images.get(name) : images.find((each) => each.name === name)
  if (!image) throw new DroverError('IMAGE_NOT_FOUND', `no image is named ${name}`, { context: { image: name } })
  const holders = [...tables.hosts.values()].filter(
    (host) => (host.images.includes(image.digest) || host.name === image.builtOn) && !tables.silences.has(host.name),
  )
  const host = holders.sort((left, right) => (left.name < right.name ? -1 : 1))[0]?.name
  if (host !== undefined) return { ...image, host }
  throw new DroverError('HOST_UNREACHABLE', `read image ${name}: no host that holds it is heard`)
}

async function ask(
  { machine }: ControllerContext,
  agents: AgentStreams,
  name: string,
  head: BulkHead,
  bytes?: Uint8Array,
): Promise<{ answer: BulkAnswer; bytes: Buffer }> {
  const host = machine.state.tables.hosts.get(name)
  if (!host) throw notJoined(name)
  const message = encodeMessage(FrameType.json, encodeBulk(head, bytes))
  const answered = await agents.bulk(`${host.address}:${host.grpcPort}`, message).catch((thrown: ServiceError) => {
    throw callError(thrown, 'send or read in bulk', name)
  })
  const { type, payload } = decodeMessage(answered)
  if (type === FrameType.error) throw DroverError.fromJSON(JSON.parse(Buffer.from(payload).toString()))
  const decoded = decodeBulk(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength))
  return { answer: decoded.head as BulkAnswer, bytes: decoded.bytes }
}
