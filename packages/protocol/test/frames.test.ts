// Frames as messages: what goes in comes out, whatever its type and length.

import { decodeMessage, encodeMessage, FrameType, maxFrameBytes } from '@drover/protocol'
import fc from 'fast-check'
import t from 'tap'

t.test('a message decodes to the type and payload that were encoded', async () => {
  const types = fc.constantFrom(...Object.values(FrameType))
  fc.assert(
    fc.property(types, fc.uint8Array({ maxLength: 4096 }), (type, payload) => {
      const frame = decodeMessage(encodeMessage(type, payload))
      return frame.type === type && Buffer.compare(frame.payload, payload) === 0
    }),
  )
})

t.test('text is encoded as UTF-8', async (t) => {
  const frame = decodeMessage(encodeMessage(FrameType.stdout, 'Grüße, 世界'))
  t.equal(Buffer.from(frame.payload).toString(), 'Grüße, 世界')
})

t.test('a message without payload is its type alone', async (t) => {
  t.same(encodeMessage(FrameType.stdinEnd), Buffer.from([FrameType.stdinEnd]))
  t.equal(decodeMessage(Buffer.from([FrameType.stdinEnd])).payload.length, 0)
})

t.test('an empty message is an error frame, not a crash', async (t) => {
  t.equal(decodeMessage(Buffer.alloc(0)).type, FrameType.error)
})

t.test('the numbers of the types are fixed: other versions and the native engine have them too', async (t) => {
  t.same(FrameType, { json: 0, stdin: 1, stdout: 2, stderr: 3, stdinEnd: 4, resize: 5, signal: 6, exit: 7, error: 8 })
  t.equal(maxFrameBytes, 1048576)
})
