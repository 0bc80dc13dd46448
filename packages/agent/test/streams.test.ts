// The stream server against peers that lie, babble or say nothing, and images over it.

import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Peer, protocolVersion } from '@drover/protocol'
import t from 'tap'
import { ImageStore } from '../src/images/image-store.ts'
import { ImageFetcher, sendImage } from '../src/images/image-transfer.ts'
import { StreamConnection } from '../src/streams/stream-connection.ts'
import { StreamServer } from '../src/streams/stream-server.ts'
import { addTinyImage, secret } from './harness.ts'

const access = { secret, tls: null }
const hello = { protocolVersion, secret, kind: 'image', digest: `sha256:${'0'.repeat(64)}` }

function frame(value: unknown, type = 0): Buffer {
  const payload = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  const head = Buffer.alloc(5)
  head.writeUInt32LE(payload.length + 1, 0)
  head[4] = type
  return Buffer.concat([head, payload])
}

/** Sends bytes and gives all that comes back until the server closes. */
function send(port: number, bytes: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    let answer = ''
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
  })
}

t.test('streams: whoever is not another agent is told why and closed', async (t) => {
  const served: string[] = []
  const server = await StreamServer.start('127.0.0.1', 0, access, (connection, { kind }) => {
    served.push(kind)
    connection.finish()
  })
  t.teardown(() => server.close())
  const oversized = Buffer.alloc(5)
  oversized.writeUInt32LE(1 << 20, 0)
  const table: [name: string, bytes: Buffer, answer: RegExp][] = [
    ['wrong secret', frame({ ...hello, secret: 'wrong' }), /UNAUTHENTICATED.*secret is wrong/],
    ['no secret', frame({ ...hello, secret: undefined }), /BAD_REQUEST/],
    ['another version', frame({ ...hello, protocolVersion: 99 }), /VERSION_MISMATCH.*99/],
    ['unknown kind', frame({ ...hello, kind: 'shell' }), /BAD_REQUEST/],
    ['broken JSON', frame('{"protocolVersion":1,'), /BAD_REQUEST.*not JSON/],
    ['JSON that is no object', frame('17'), /BAD_REQUEST/],
    ['a data frame instead of a hello', frame('x', 1), /BAD_REQUEST/],
    ['a frame over the limit of a hello', oversized, /TOO_LARGE.*1048576/],
    ['an empty frame', Buffer.alloc(5), /TOO_LARGE.*says 0 bytes/],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /TOO_LARGE/],
  ]
  for (const [name, bytes, answer] of table) {
    const got = await send(server.port, bytes)
    t.match(got, answer, name)
    t.notMatch(got, new RegExp(secret), `${name}: the secret is not told`)
  }
  t.same(served, [], 'none of them was served')
  t.equal(await send(server.port, frame(hello)), '', 'and after all that a proper peer is')
  t.same(served, ['image'])
})

t.test('streams: frames arrive whole however the bytes were cut', async (t) => {
  const server = await StreamServer.start('127.0.0.1', 0, access, async (connection) => {
    await connection.send(9, Buffer.alloc(0))
    for (;;) {
      const { type, payload } = await connection.receive()
      await connection.send(type, payload)
      if (type === 2) return connection.finish()
    }
  })
  t.teardown(() => server.close())
  const payloads = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(70_000, 'b'), Buffer.alloc(1 << 20, 'c')]
  const bytes = Buffer.concat([...payloads.map((payload) => frame(payload.toString(), 1)), frame('', 2)])
  const socket = connect(server.port, '127.0.0.1')
  const connection = new StreamConnection(socket)
  connection.trust()
  socket.write(frame(hello))
  t.equal((await connection.receive()).type, 9)
  let at = 0
  const pieces = [1, 2, 3, 5, 4093, 65_537]
  while (at < bytes.length) {
    const piece = pieces[at % pieces.length] as number
    await new Promise((resolve) => socket.write(bytes.subarray(at, at + piece), resolve))
    at += piece
  }
  for (const payload of payloads) {
    const echoed = await connection.receive()
    t.ok(echoed.payload.equals(payload), `${payload.length} bytes`)
  }
  connection.destroy()
})

t.test('streams: a peer that falls silent is given up at the deadline', async (t) => {
  const server = await StreamServer.start('127.0.0.1', 0, access, () => {})
  t.teardown(() => server.close())
  const connection = new StreamConnection(connect(server.port, '127.0.0.1'))
  await t.rejects(connection.receive(20), { code: 'TIMED_OUT' })
  connection.destroy()
  await t.rejects(connection.receive(20), { code: 'TRANSFER_FAILED' })
})

t.test('images: fetched from another host, and checked', async (t) => {
  const there = t.testdir({ a: {}, b: {} })
  const digest = await addTinyImage(join(there, 'a'), 'content of the image')
  const images = new ImageStore(join(there, 'a'))
  const server = await StreamServer.start('127.0.0.1', 0, access, (connection, asked) => {
    if (asked.kind === 'image') return sendImage(connection, images, asked.digest)
  })
  t.teardown(() => server.close())
  const good: Peer = { host: 'a', address: '127.0.0.1', streamPort: server.port }
  const dead: Peer = { host: 'x', address: '127.0.0.1', streamPort: 1 }
  const local = new ImageStore(join(there, 'b'))
  const fetcher = new ImageFetcher(local, access)

  await t.rejects(fetcher.ensure(digest, []), { code: 'IMAGE_NOT_FOUND', message: /no host is named/ })
  await t.rejects(fetcher.ensure(`sha256:${'1'.repeat(64)}`, [good]), { code: 'IMAGE_NOT_FOUND' })
  await t.rejects(async () => fetcher.ensure('../../etc', [good]), { code: 'BAD_REQUEST' })
  await Promise.all([fetcher.ensure(digest, [dead, good]), fetcher.ensure(digest, [dead, good])])
  t.equal(readFileSync(join(local.rootfs(digest), 'file'), 'utf8'), 'content of the image')
  t.same(new ImageStore(join(there, 'b')).digests(), [digest], 'a restarted agent has it')

  writeFileSync(images.layer(digest), Buffer.alloc(images.get(digest).sizeBytes, 'x'))
  const other = new ImageStore(join(there, 'c'))
  await t.rejects(new ImageFetcher(other, access).ensure(digest, [good]), { message: /what came has digest/ })
  t.same(other.digests(), [], 'a layer that is not what it should be is not kept')
})
