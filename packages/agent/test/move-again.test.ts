// A second move to a host right after the first: by the same connection, if that is still good for something.

import { connect, createServer, type Socket } from 'node:net'
import type { Peer } from '@drover/protocol'
import t, { type Test } from 'tap'
import { withoutNats } from './harness.ts'
import { type Move, runningOnA, until } from './moving.ts'

/** In front of a peer, and counts its connections. */
async function counted(
  t: Test,
  { streamPort, ...peer }: Peer,
): Promise<{ peer: Peer; count: () => number; cut: () => void }> {
  const sockets: Socket[] = []
  let count = 0
  const server = createServer((near) => {
    count += 1
    const far = connect(streamPort, peer.address)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => to.destroy())
    }
    sockets.push(near, far)
  })
  await new Promise<void>((resolve) => server.listen(0, peer.address, resolve))
  const cut = () => {
    for (const socket of sockets.splice(0)) socket.destroy()
  }
  t.teardown(() => {
    cut()
    server.close()
  })
  const { port } = server.address() as { port: number }
  return { peer: { ...peer, streamPort: port }, count: () => count, cut }
}

async function prepare(move: Move, destination: Peer): Promise<void> {
  move.phase('preparing', { destination })
  await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
}

async function goOn(move: Move, destination: Peer): Promise<void> {
  move.phase('precopying', { destination })
  await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
  move.phase('switching', { destination })
  await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
  move.phase('committed', { destination })
  await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
}

t.test('the next move to a host goes by the connection of the last', { skip: withoutNats }, async (t) => {
  const move = await runningOnA(t)
  const { peer, count } = await counted(t, move.cluster.peer('b'))
  const moves: Move[] = [move]
  for (const container of ['c2', 'c3', 'c4']) moves.push(await move.next(container))
  for (const each of moves) await prepare(each, peer)
  for (const each of moves) await goOn(each, peer)
  // It is kept for moments only: a machine with much else to do may miss one of them.
  t.ok(count() < moves.length, `${count()} connections`)
  for (const container of ['c1', 'c2', 'c3', 'c4']) {
    t.equal(move.b.engineState(container), 'running')
    t.equal(move.a.engineState(container), undefined)
  }
})

t.test('a connection that broke after the last move fails nothing', { skip: withoutNats }, async (t) => {
  const move = await runningOnA(t)
  const { peer, cut } = await counted(t, move.cluster.peer('b'))
  const next = await move.next('c2')
  await prepare(move, peer)
  await prepare(next, peer)
  await goOn(move, peer)
  cut()
  await goOn(next, peer)
  t.equal(move.b.engineState('c2'), 'running')
})
