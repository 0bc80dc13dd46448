// Framing: however the bytes are cut, the frames come out; what breaks the rules ends the stream with a clear error.

import { Duplex } from 'node:stream'
import { type DroverError, type Frame, FrameType, maxFrameBytes } from '@drover/protocol'
import t from 'tap'
import { encodeFrame, FrameDecoder, FrameStream } from '../src/index.ts'

const text = (frame: Frame | undefined) => Buffer.from(frame?.payload ?? '').toString()

t.test('frames come out whole, however the bytes are cut', async (t) => {
  const bytes = Buffer.concat([
    encodeFrame(FrameType.json, '{"a":1}'),
    encodeFrame(FrameType.stdinEnd),
    encodeFrame(FrameType.stdout, Buffer.from('grüße')),
  ])
  for (const piece of [1, 2, 3, 7, bytes.length]) {
    const decoder = new FrameDecoder()
    const frames: Frame[] = []
    for (let offset = 0; offset < bytes.length; offset += piece) {
      frames.push(...decoder.push(bytes.subarray(offset, offset + piece)))
    }
    t.same(
      frames.map((frame) => [frame.type, text(frame)]),
      [
        [FrameType.json, '{"a":1}'],
        [FrameType.stdinEnd, ''],
        [FrameType.stdout, 'grüße'],
      ],
      `cut into pieces of ${piece}`,
    )
  }
})

t.test('the longest frame passes, a longer one is refused on both sides', async (t) => {
  const longest = Buffer.alloc(maxFrameBytes - 1, 7)
  const [frame] = new FrameDecoder().push(encodeFrame(FrameType.stdout, longest))
  t.equal(frame?.payload.length, longest.length)
  t.throws(() => encodeFrame(FrameType.stdout, Buffer.alloc(maxFrameBytes)), { code: 'TOO_LARGE' })
  const head = Buffer.alloc(4)
  head.writeUInt32LE(maxFrameBytes + 1)
  t.throws(() => new FrameDecoder().push(head), { code: 'TOO_LARGE' })
  t.throws(() => new FrameDecoder().push(Buffer.alloc(4)), { code: 'BAD_REQUEST' })
})

function pair(): { near: Duplex; far: Buffer[] } {
  const far: Buffer[] = []
  const near = new Duplex({
    read() {},
    write(chunk, _encoding, callback) {
      far.push(chunk)
      callback()
    },
  })
  return { near, far }
}

t.test('a stream that breaks the rules is told why and closed, once', async (t) => {
  const { near, far } = pair()
  const closed: (DroverError | null)[] = []
  const frames: Frame[] = []
  const stream = new FrameStream(near, {
    onFrame: (frame) => frames.push(frame),
    onClose: (error) => closed.push(error),
  })
  near.push(encodeFrame(FrameType.json, '{}'))
  near.push(Buffer.from([255, 255, 255, 255]))
  near.push(encodeFrame(FrameType.json, '{}'))
  await new Promise((resolve) => near.once('close', resolve))
  t.equal(frames.length, 1, 'what came before counts, what comes after does not')
  t.match(closed, [{ code: 'TOO_LARGE' }])
  t.equal(closed.length, 1)
  t.ok(stream.closed)
  const [said] = new FrameDecoder().push(Buffer.concat(far))
  t.equal(said?.type, FrameType.error)
  t.match(JSON.parse(text(said)), { error: { code: 'TOO_LARGE' } })
})
