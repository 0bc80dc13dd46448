// Files of pages that go while a dump still writes them: the destination has the same bytes in the end, however the dump went on, and what
// doesn't fit together is refused.

import { once } from 'node:events'
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { MemoryFileWriter, sendMemoryFiles } from '../src/migration/memory-files.ts'
import { PagesAhead, WrittenPages } from '../src/migration/pages-ahead.ts'
import { StreamFrameType } from '../src/streams/messages.ts'
import { decodeStreamMessage, StreamConnection } from '../src/streams/stream-connection.ts'

const block = (fill: number, bytes = 100_000) => Buffer.alloc(bytes, fill)

interface Ends {
  here: string
  there: string
  pages: PagesAhead
  near: StreamConnection
  /** Resolves when so many bytes of pages came ahead. */
  arrived(bytes: number): Promise<void>
  /** Resolves when all files of the list are there; the list. */
  complete: Promise<{ name: string; sizeBytes: number; sentBytes?: number }[]>
}

async function ends(test: Test): Promise<Ends> {
  const [here, there] = ['here', 'there'].map((name) => join(test.testdir(), name)) as [string, string]
  mkdirSync(there)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect(port, '127.0.0.1')
  const [far] = (await once(server, 'connection')) as [Socket]
  const [near, other] = [new StreamConnection(socket), new StreamConnection(far)]
  for (const each of [near, other]) each.trust()
  const written = new WrittenPages(there)
  const pages = new PagesAhead(near, here)
  test.teardown(() => {
    pages.close()
    written.close()
    near.destroy()
    other.destroy()
    server.close()
  })
  let count = 0
  const waiting: (() => void)[] = []
  const arrived = async (bytes: number) => {
    while (count < bytes) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const complete = receive(other, there, written, (bytes) => {
    count += bytes
    for (const wake of waiting.splice(0)) wake()
  })
  complete.catch(() => {})
  return { here, there, pages, near, arrived, complete }
}

async function receive(
  connection: StreamConnection,
  directory: string,
  written: WrittenPages,
  came: (bytes: number) => void,
): Ends['complete'] {
  const files = new MemoryFileWriter(directory, written)
  let list: Awaited<Ends['complete']> | null = null
  while (list === null || files.open) {
    const frame = await connection.receive(10_000)
    if (frame.type === StreamFrameType.data) {
      if (written.open) {
        written.write(frame.payload)
        came(frame.payload.length)
      } else files.write(frame.payload)
      continue
    }
    const message = decodeStreamMessage(frame)
    if (message.kind === 'written') written.begin(message)
    else if (message.kind === 'memory') {
      list = message.files
      files.begin(list)
    } else throw new Error(message.kind)
  }
  return list
}

t.test('pages ahead: what was written meanwhile is sent once, and the rest with the list', async (t) => {
  const { here, there, pages, near, arrived, complete } = await ends(t)
  pages.follow()
  mkdirSync(here)
  writeFileSync(join(here, 'core-1.img'), 'not ahead')
  writeFileSync(join(here, 'pages-1.img'), block(1))
  await arrived(100_000)
  writeFileSync(join(here, 'pages-2.img'), block(2))
  appendFileSync(join(here, 'pages-1.img'), block(3))
  await arrived(300_000)
  await pages.stop()
  appendFileSync(join(here, 'pages-1.img'), block(4, 5000))
  await sendMemoryFiles(near, here, pages)
  const list = await complete
  const ahead = Object.fromEntries(list.map(({ name, sentBytes = 0 }) => [name, sentBytes]))
  t.same(ahead, { 'core-1.img': 0, 'pages-1.img': 200_000, 'pages-2.img': 100_000 })
  for (const { name } of list) t.same(readFileSync(join(there, name)), readFileSync(join(here, name)), name)
  t.same(readFileSync(join(there, 'pages-1.img')), Buffer.concat([block(1), block(3), block(4, 5000)]))
})

t.test('pages ahead: of a dump that is made anew nothing of the first is left', async (t) => {
  const { here, there, pages, near, arrived, complete } = await ends(t)
  mkdirSync(here)
  pages.follow()
  writeFileSync(join(here, 'pages-1.img'), block(1, 300_000))
  writeFileSync(join(here, 'pages-2.img'), block(1))
  await arrived(400_000)
  rmSync(join(here, 'pages-1.img'))
  writeFileSync(join(here, 'pages-1.new'), block(2))
  renameSync(join(here, 'pages-1.new'), join(here, 'pages-1.img'))
  await arrived(500_000)
  await pages.stop()
  // And one more, that nobody followed.
  rmSync(join(here, 'pages-2.img'))
  writeFileSync(join(here, 'pages-2.img'), block(3, 50_000))
  await sendMemoryFiles(near, here, pages)
  await complete
  t.same(readFileSync(join(there, 'pages-1.img')), block(2))
  t.same(readFileSync(join(there, 'pages-2.img')), block(3, 50_000))
})

t.test('pages ahead: what does not fit together is refused', async (t) => {
  const directory = t.testdir()
  const written = new WrittenPages(directory)
  t.teardown(() => written.close())
  t.throws(() => written.begin({ name: '../pages-1.img', from: 0, sizeBytes: 1 }), /no file of pages/)
  t.throws(() => written.begin({ name: 'core-1.img', from: 0, sizeBytes: 1 }), /no file of pages/)
  t.throws(() => written.begin({ name: 'pages-1.img', from: 1, sizeBytes: 1 }), /1 bytes are before this, and 0 came/)
  written.begin({ name: 'pages-1.img', from: 0, sizeBytes: 10 })
  t.throws(() => written.write(block(1, 11)), /more pages than were announced/)
  written.write(block(1, 10))
  t.equal(written.open, false)
  t.throws(() => written.begin({ name: 'pages-1.img', from: 9, sizeBytes: 1 }), /9 bytes are before this, and 10 came/)
  t.throws(() => written.take('pages-1.img', 9), /9 bytes were sent before, and 10 came/)
  const files = new MemoryFileWriter(directory, written)
  t.throws(() => files.begin([{ name: 'pages-2.img', sizeBytes: 2, sentBytes: 1 }]), /nothing of it came before/)
  t.throws(() => files.begin([{ name: 'pages-1.img', sizeBytes: 9, sentBytes: 10 }]), /10 of 9 bytes/)
})
