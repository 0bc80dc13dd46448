// Connections between agents over TLS: the second one to a peer goes on from the first, and nobody gets in without a certificate by that.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { AddressInfo, Server, Socket } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { KeptStreams } from '../src/streams/kept-streams.ts'
import { openStream, sayHello } from '../src/streams/open-stream.ts'
import type { StreamConnection } from '../src/streams/stream-connection.ts'
import { StreamServer } from '../src/streams/stream-server.ts'
import { dial, listen } from '../src/streams/transport.ts'
import { RemovedHosts, type TlsMaterial } from '../src/tls.ts'

const address = '127.0.0.1'

/** A certificate that is its own authority. */
function certificate(t: Test, name: string): TlsMaterial {
  const directory = t.testdir({})
  const [key, cert] = [join(directory, `${name}.key`), join(directory, `${name}.pem`)]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=IP:${address}`]
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
  return { ca: readFileSync(cert), cert: readFileSync(cert), key: readFileSync(key) }
}

/** Says one word to whoever gets in. */
const greeter = (port: number, tls: TlsMaterial): Promise<Server> =>
  listen(address, port, tls, (socket) => {
    socket.on('error', () => {})
    socket.end('welcome')
  })

/** The word, and whether the connection went on from an earlier one. The peer's ticket comes before its first word. */
async function greeted(port: number, tls: TlsMaterial): Promise<{ word: string; resumed: boolean }> {
  const socket: Socket = await dial(address, port, tls)
  const resumed = (socket as TLSSocket).isSessionReused()
  let word = ''
  for await (const chunk of socket) word += String(chunk)
  return { word, resumed }
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
const closed = (server: Server) => new Promise((resolve) => server.close(resolve))

t.test('a second connection to the same peer goes on from the first', async (t) => {
  const tls = certificate(t, 'agent')
  const server = await greeter(0, tls)
  t.teardown(() => closed(server))
  t.strictSame(await greeted(portOf(server), tls), { word: 'welcome', resumed: false })
  for (let again = 0; again < 3; again++)
    t.strictSame(await greeted(portOf(server), tls), { word: 'welcome', resumed: true }, 'as often as one likes')
})

t.test('a peer that was started again has forgotten, and is met as at first', async (t) => {
  const tls = certificate(t, 'agent')
  const first = await greeter(0, tls)
  const port = portOf(first)
  await greeted(port, tls)
  t.equal((await greeted(port, tls)).resumed, true)
  await closed(first)
  const second = await greeter(port, tls)
  t.teardown(() => closed(second))
  t.strictSame(await greeted(port, tls), { word: 'welcome', resumed: false })
  t.strictSame(await greeted(port, tls), { word: 'welcome', resumed: true })
})

t.test('a stranger gets nothing, also after a member was there', async (t) => {
  const tls = certificate(t, 'agent')
  const server = await greeter(0, tls)
  t.teardown(() => closed(server))
  await greeted(portOf(server), tls)
  const stranger = { ...certificate(t, 'stranger'), ca: tls.ca }
  // By TLS 1.3 it learns of the refusal when it reads: as an error, or as an end without a word.
  for (let again = 0; again < 2; again++)
    t.equal(
      await greeted(portOf(server), stranger).then(
        ({ word }) => word,
        () => '',
      ),
      '',
      'not a word',
    )
  t.strictSame(await greeted(portOf(server), tls), { word: 'welcome', resumed: true })
})

t.test('who shows the certificate of a removed host gets nothing, also by a connection that goes on', async (t) => {
  const tls = certificate(t, 'b')
  const removed = new RemovedHosts()
  const served: string[] = []
  const server = await StreamServer.start(
    address,
    0,
    { secret: 'of the cluster', tls, removed },
    (connection, hello) => {
      served.push(hello.kind)
      connection.finish()
    },
  )
  t.teardown(() => server.close())
  const peer = { host: 'a', address, streamPort: server.port }
  const ask = async () => {
    const connection = await openStream(peer, { secret: 'of the cluster', tls }, { kind: 'image', digest: 'sha256:x' })
    const answer = await connection.receive(60_000).then(
      ({ payload }) => payload.toString(),
      (error: Error) => error.message,
    )
    connection.destroy()
    return answer
  }
  await ask()
  t.same(served, ['image'])
  removed.take(['c'])
  await ask()
  t.same(served, ['image', 'image'], 'another one was removed')
  removed.take(['b', 'c'])
  for (const name of ['first', 'second']) t.equal(await ask(), 'host b was removed from the cluster', name)
  t.same(served, ['image', 'image'])
  removed.take([])
  await ask()
  t.equal(served.length, 3, 'having joined anew it is heard')
})

t.test('nor by the connection of an earlier stream', async (t) => {
  const tls = certificate(t, 'b')
  const removed = new RemovedHosts()
  let served = 0
  const access = { secret: 'of the cluster', tls }
  const server = await StreamServer.start(address, 0, { ...access, removed }, async (connection) => {
    served += 1
    await connection.sendMessage({ kind: 'accepted' })
    await connection.receiveMessage()
    connection.giveBack()
  })
  const kept = new KeptStreams(600_000)
  t.teardown(() => {
    kept.close()
    return server.close()
  })
  const peer = { host: 'a', address, streamPort: server.port }
  const purpose = { kind: 'migration', operation: 'op', container: 'c1' } as const
  const first = await openStream(peer, access, purpose)
  await first.receiveMessage()
  await first.sendMessage({ kind: 'disk-sent' })
  await kept.keepWhenFree(peer, first)
  const second = kept.take(peer) as StreamConnection
  removed.take(['b'])
  await sayHello(second, access, purpose)
  await t.rejects(second.receiveMessage(), { code: 'UNAUTHENTICATED', message: 'host b was removed from the cluster' })
  t.equal(served, 1)
})
