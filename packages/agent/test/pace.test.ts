// A shared bandwidth limit: the rate as a whole, and equal shares whatever the size of pieces. The clock is the test's own where it can be.

import { createServer, connect as dial, type Socket } from 'node:net'
import t from 'tap'
import { StreamFrameType } from '../src/streams/messages.ts'
import { Pace } from '../src/streams/pace.ts'
import { StreamConnection } from '../src/streams/stream-connection.ts'

/** Sends pieces until `until` bytes went over all flows; how many went over each. */
async function shares(pace: Pace, pieces: number[], until: number): Promise<number[]> {
  const had = pieces.map(() => 0)
  let total = 0
  await Promise.all(
    pieces.map(async (piece, index) => {
      const flow = pace.flow()
      while (total < until) {
        await flow.pay(piece)
        had[index] = (had[index] as number) + piece
        total += piece
      }
    }),
  )
  return had
}

t.test('pace: small and large pieces get the same share', async (t) => {
  const had = await shares(new Pace(40e6), [64 << 10, 256 << 10, 64 << 10], 24 << 20)
  const least = Math.min(...had)
  // By pieces it would be 4, 16 and 4 MiB. Made good is up to 1 MiB of what one is out of line for a moment; a busy machine makes such moments.
  for (const bytes of had) t.ok(bytes - least <= 4 << 20, had.join(' '))
})

t.test('pace: what is paid takes the time that the limit gives it', async (t) => {
  let now = 0
  const pace = new Pace(1e6, () => now)
  const flow = pace.flow()
  let paid = 0
  const pay = () =>
    flow.pay(10_000).then(() => {
      paid += 1
    })
  // 20 ms of catching up are there at first, then 10 ms each.
  const pending = Array.from({ length: 10 }, pay)
  await Promise.resolve()
  const atOnce = paid
  t.ok(atOnce <= 3, `${atOnce} at once`)
  for (; now < 50; now += 1) pace.limit(1e6)
  await Promise.resolve()
  t.ok(paid >= 5 && paid <= 8, `${paid} after 50 ms`)
  pace.limit(null)
  await Promise.all(pending)
  t.equal(paid, 10, 'without a limit whoever waits goes on')
  t.equal(pace.limited, false)
})

t.test('pace: a newcomer begins with an equal share, not with a debt of the others', async (t) => {
  const pace = new Pace(20e6)
  const early = pace.flow()
  for (let sent = 0; sent < 4 << 20; sent += 64 << 10) await early.pay(64 << 10)
  const had = [0, 0]
  const late = pace.flow()
  const flows = [early, late]
  await Promise.all(
    flows.map(async (flow, index) => {
      while ((had[0] as number) + (had[1] as number) < 6 << 20) {
        await flow.pay(64 << 10)
        had[index] = (had[index] as number) + (64 << 10)
      }
    }),
  )
  t.ok(Math.abs((had[0] as number) - (had[1] as number)) <= (1 << 20) + 4 * (64 << 10), had.join(' '))
})

async function pair(test: { teardown(end: () => void): void }): Promise<[StreamConnection, StreamConnection]> {
  const sockets: Socket[] = []
  const server = createServer()
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const near = dial((server.address() as { port: number }).port, '127.0.0.1')
  const far = await accepted
  sockets.push(near, far)
  test.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const ends: [StreamConnection, StreamConnection] = [new StreamConnection(near), new StreamConnection(far)]
  for (const end of ends) end.trust()
  return ends
}

t.test(
  'pace: a connection under a limit sends everything, in small frames, and counts how long it was held back',
  async (t) => {
    const [near, far] = await pair(t)
    near.throttleSending([new Pace(8e6).flow(), new Pace(16e6).flow()])
    far.throttleReceiving(new Pace(8e6).flow())
    const data = Buffer.alloc(2 << 20, 7)
    const sending = near.sendData(data).then(() => near.sendEnd())
    let bytes = 0
    for (;;) {
      const frame = await far.receive()
      if (frame.type === StreamFrameType.end) break
      t.ok(frame.payload.length <= 64 << 10)
      bytes += frame.payload.length
    }
    await sending
    t.equal(bytes, data.length)
    t.ok(near.heldBackMs > 50, `${near.heldBackMs} ms held back; 2 MiB at 8 MB/s are 260`)
    near.throttleSending([])
    t.equal(near.frameBytes, 1 << 20)
  },
)
