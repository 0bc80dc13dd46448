// What is sent to a host in pieces: each as often as need be, never with a hole, and taken for whole only by its SHA-256.

import { createHash } from 'node:crypto'
import { existsSync, utimesSync } from 'node:fs'
import { uploadKeptMs } from '@drover/protocol'
import t from 'tap'
import { Uploads } from '../src/images/uploads.ts'

const id = (digit: string) => digit.repeat(32)
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

t.test('uploads: pieces may come twice, even the first one at once; a hole is refused', async (t) => {
  const uploads = new Uploads(t.testdir())
  const one = Buffer.from('one ')
  t.same(await Promise.all([uploads.write(id('a'), 0, one), uploads.write(id('a'), 0, one)]), [4, 4])
  t.equal(await uploads.write(id('a'), 4, Buffer.from('two')), 7)
  t.equal(await uploads.write(id('a'), 0, one), 7)
  t.equal(uploads.receivedBytes(id('a')), 7)
  await t.rejects(uploads.write(id('a'), 8, one), { code: 'BAD_REQUEST', message: /byte 8 came, but only 7/ })
  t.ok(existsSync(await uploads.checked(id('a'), sha256('one two'))))
})

t.test('uploads: others than said, and names that are paths, are refused', async (t) => {
  const uploads = new Uploads(t.testdir())
  await uploads.write(id('a'), 0, Buffer.from('x'))
  await t.rejects(uploads.checked(id('a'), sha256('y')), { code: 'TRANSFER_FAILED', message: /has SHA-256/ })
  await t.rejects(uploads.checked(id('b'), sha256('y')), { code: 'TRANSFER_FAILED', message: /send it again/ })
  await t.rejects(uploads.write('../../etc/passwd', 0, Buffer.from('x')), { code: 'BAD_REQUEST' })
})

t.test('uploads: so many at once, and what nobody goes on with is removed after a day', async (t) => {
  const directory = t.testdir()
  const uploads = new Uploads(directory)
  for (const digit of '0123456789abcdef') await uploads.write(id(digit), 0, Buffer.from('x'))
  const more = 'ab'.repeat(16)
  await t.rejects(uploads.write(more, 0, Buffer.from('x')), { code: 'LIMIT_REACHED' })
  const past = (Date.now() - uploadKeptMs - 60_000) / 1000
  utimesSync(uploads.path(id('a')), past, past)
  await uploads.write(more, 0, Buffer.from('x'))
  t.equal(uploads.receivedBytes(id('a')), 0)
})
