// The error type: what it keeps, and what survives a wire.

import { DroverError, errorCodes } from '@drover/protocol'
import t from 'tap'

t.test('an error goes over a wire and back with code, message, context and retryable', async (t) => {
  for (const code of Object.keys(errorCodes) as (keyof typeof errorCodes)[]) {
    for (const retryable of [true, false]) {
      const sent = new DroverError(code, `restore web-7: ${code}`, { retryable, context: { host: 'b', count: 7 } })
      const received = DroverError.fromJSON(JSON.parse(JSON.stringify(sent)))
      t.same(received.toJSON(), sent.toJSON(), code)
      t.ok(received instanceof DroverError)
    }
  }
})

t.test('a code that this version does not know becomes INTERNAL and keeps its message', async (t) => {
  const body = { error: { code: 'FROM_THE_FUTURE', message: 'the moon is full', retryable: true, context: {} } }
  const error = DroverError.fromJSON(body)
  t.equal(error.code, 'INTERNAL')
  t.equal(error.message, 'the moon is full')
})

t.test('names of Object.prototype are not codes', async (t) => {
  for (const code of ['constructor', 'toString', '__proto__']) {
    t.equal(DroverError.fromJSON({ error: { code, message: 'x' } }).code, 'INTERNAL', code)
  }
})

t.test('bodies of unknown form become INTERNAL and show at most 200 characters of themselves', async (t) => {
  for (const body of [null, undefined, 7, 'text', [], {}, { error: null }, { error: {} }, { error: { message: 7 } }]) {
    const error = DroverError.fromJSON(body)
    t.equal(error.code, 'INTERNAL', JSON.stringify(body))
  }
  t.ok(DroverError.fromJSON({ junk: 'x'.repeat(10_000) }).message.length < 300)
})

t.test('what was thrown becomes a DroverError that keeps its cause', async (t) => {
  const cause = new TypeError('x is not a function')
  const wrapped = DroverError.from(cause)
  t.equal(wrapped.code, 'INTERNAL')
  t.equal(wrapped.cause, cause)
  t.equal(DroverError.from('a string').message, 'a string')
  const already = new DroverError('BUSY', 'move web-1: a move is under way')
  t.equal(DroverError.from(already), already)
})

t.test('codes that a repetition may cure are retryable unless the thrower says otherwise', async (t) => {
  t.equal(new DroverError('NO_QUORUM', '').retryable, true)
  t.equal(new DroverError('HOST_NOT_FOUND', '').retryable, false)
  t.equal(new DroverError('NO_QUORUM', '', { retryable: false }).retryable, false)
})

t.test('statuses are HTTP errors and meanings are sentences without a full stop', async (t) => {
  for (const [code, { status, meaning }] of Object.entries(errorCodes)) {
    t.ok(status >= 400 && status < 600, `${code} ${status}`)
    t.match(code, /^[A-Z]+(_[A-Z]+)*$/)
    t.match(meaning, /^\S.{10,}[^.\s]$/, code)
  }
})
