// A connection that one stream has left to the next: as good as a new one, and no better.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Peer, protocolVersion } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t, { type Test } from 'tap'
import { KeptStreams } from '../src/streams/kept-streams.ts'
import { openStream, sayHello } from '../src/streams/open-stream.ts'
import { StreamConnection } from '../src/streams/stream-connection.ts'
import { StreamServer } from '../src/streams/stream-server.ts'
import { secret } from './harness.ts'

const access = { secret, tls: null }
/** No test takes so long. */
const longMs = 600_000
const purpose = (container: string) => ({ kind: 'migration', operation: 'op', container }) as const

interface Served {
  peer: string
  container: string
}

/** Answers each stream with `accepted`, and gives it back when it has had a message. */
async function destination(t: Test): Promise<{ peer: Peer; served: Served[]; server: StreamServer }> {
  const served: Served[] = []
  const server = await StreamServer.start('127.0.0.1', 0, access, async (connection, hello) => {
    served.push({ peer: connection.peer, container: hello.kind === 'migration' ? hello.container : '' })
    await connection.sendMessage({ kind: 'accepted' })
    await connection.receiveMessage()
    connection.giveBack()
  })
  t.teardown(() => server.close())
  return { peer: { host: 'b', address: '127.0.0.1', streamPort: server.port }, served, server }
}

/** A stream from its hello to its last message; the connection, for which the other side has said nothing yet. */
async function streamTo(peer: Peer, container: string, kept: StreamConnection | null): Promise<StreamConnection> {
  if (kept) await sayHello(kept, access, purpose(container))
  const connection = kept ?? (await openStream(peer, access, purpose(container)))
  t.equal((await connection.receiveMessage()).kind, 'accepted')
  await connection.sendMessage({ kind: 'disk-sent' })
  return connection
}

function keptFor(t: Test): KeptStreams {
  const kept = new KeptStreams(longMs)
  t.teardown(() => kept.close())
  return kept
}

t.test('kept streams: the next one takes the connection of the last', async (t) => {
  const { peer, served } = await destination(t)
  const kept = keptFor(t)
  t.equal(kept.take(peer), null)
  for (const container of ['c1', 'c2', 'c3'])
    await kept.keepWhenFree(peer, await streamTo(peer, container, kept.take(peer)))
  t.same(
    served.map(({ container }) => container),
    ['c1', 'c2', 'c3'],
  )
  t.equal(new Set(served.map((each) => each.peer)).size, 1, 'all by one connection')
  t.ok(kept.take(peer))
  t.equal(kept.take(peer), null, 'it is taken once')
})

t.test('kept streams: nobody keeps one for long', async (t) => {
  const { peer } = await destination(t)
  const kept = new KeptStreams(0)
  await kept.keepWhenFree(peer, await streamTo(peer, 'c1', null))
  // Timers fire in their order.
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(kept.take(peer), null)
})

t.test('kept streams: whoever has the connection shows the secret anew', async (t) => {
  const { peer, served } = await destination(t)
  const kept = keptFor(t)
  await kept.keepWhenFree(peer, await streamTo(peer, 'c1', null))
  const connection = kept.take(peer) as StreamConnection
  await sayHello(connection, { secret: 'wrong', tls: null }, purpose('c2'))
  await t.rejects(connection.receiveMessage(), { code: 'UNAUTHENTICATED' })
  t.equal(served.length, 1)
})

t.test('kept streams: what is done to the stream that is over does nothing to the next', async (t) => {
  const { peer } = await destination(t)
  const kept = keptFor(t)
  const first = await streamTo(peer, 'c1', null)
  let ended = false
  first.onClose(() => {
    ended = true
  })
  await kept.keepWhenFree(peer, first)
  const second = kept.take(peer) as StreamConnection
  await t.rejects(first.sendMessage({ kind: 'disk-sent' }), { code: 'TRANSFER_FAILED' })
  first.refuse(first.ended as never)
  first.finish()
  first.destroy()
  t.equal(ended, false, 'nor is it an end that a move must hear of')
  await kept.keepWhenFree(peer, await streamTo(peer, 'c2', second))
  t.ok(kept.take(peer), 'which goes on and is kept as well')
})

t.test(
  'kept streams: one whose peer has gone is not kept, nor one of which the peer says something else',
  async (t) => {
    const { peer, server } = await destination(t)
    const kept = keptFor(t)
    await kept.keepWhenFree(peer, await streamTo(peer, 'c1', null))
    await kept.keepWhenFree(peer, await streamTo(peer, 'c2', null))
    const gone = kept.take(peer) as StreamConnection
    await server.close()
    await t.rejects(gone.receive(), { code: 'TRANSFER_FAILED' })
    for (let turns = 0; turns < 10; turns++) await new Promise(setImmediate)
    t.equal(kept.take(peer), null, 'the other one has ended as well')

    const talker = await StreamServer.start('127.0.0.1', 0, access, (connection) =>
      connection.sendMessage({ kind: 'disk-received', bytes: 1 }),
    )
    t.teardown(() => talker.close())
    const other = { ...peer, streamPort: talker.port }
    const connection = await openStream(other, access, purpose('c3'))
    await kept.keepWhenFree(other, connection)
    t.match(connection.ended, { code: 'TRANSFER_FAILED' })
    t.equal(kept.take(other), null)
  },
)

t.test('kept streams: a stream of which something is left in the connection has no successor', async (t) => {
  const { peer } = await destination(t)
  const socket: Socket = connect(peer.streamPort, peer.address)
  await once(socket, 'connect')
  const connection = new StreamConnection(socket)
  const hello = JSON.stringify({ protocolVersion, secret, ...purpose('c1') })
  await connection.send(0, Buffer.from(hello))
  await waitUntil('the answer', 60_000, () => connection.bytesReceived > 0)
  t.equal(connection.renew(), null, 'a message that nobody has read')
  t.equal((await connection.receiveMessage()).kind, 'accepted', 'and it is as it was')
  const waiting = connection.receiveMessage()
  t.equal(connection.renew(), null, 'somebody waits for one')
  connection.destroy()
  await t.rejects(waiting)
  t.equal(connection.renew(), null, 'it has ended')
})
