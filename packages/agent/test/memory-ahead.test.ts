// The source's rounds, and what is taken last. The destination's parent images: pages land where a part says, and a part that lies is refused.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { movePlan } from '../src/migration/blackout-budget.ts'
import { MemoryAhead, ParentImages } from '../src/migration/memory-ahead.ts'
import { MigrationSession } from '../src/migration/session.ts'
import type { AgentParts } from '../src/parts.ts'
import type { StreamConnection } from '../src/streams/stream-connection.ts'

const pageBytes = 4096

function part(runs: { image: number; pages: number; at: number }[], fill: number): Buffer {
  const head = Buffer.alloc(4 + runs.length * 16)
  head.writeUInt32LE(runs.length, 0)
  runs.forEach(({ image, pages, at }, index) => {
    head.writeUInt32LE(image, 4 + index * 16)
    head.writeUInt32LE(pages, 8 + index * 16)
    head.writeBigUInt64LE(BigInt(at), 12 + index * 16)
  })
  const total = runs.reduce((sum, { pages }) => sum + pages, 0)
  return Buffer.concat([head, Buffer.alloc(total * pageBytes, fill)])
}

function make(t: Test): { parent: ParentImages; directory: string } {
  const images = join(t.testdir(), 'images')
  mkdirSync(images)
  const parent = new ParentImages(images, [{ name: 'pages-1.img', sizeBytes: 8 * pageBytes }])
  t.teardown(() => parent.close())
  return { parent, directory: join(images, 'parent') }
}

function lay(parent: ParentImages, data: Buffer, pieceBytes: number): void {
  parent.begin(data.length)
  for (let at = 0; at < data.length; at += pieceBytes) parent.write(data.subarray(at, at + pieceBytes))
}

t.test('memory ahead: pages land in their places, later ones over earlier ones, holes stay zero', async (t) => {
  const { parent, directory } = make(t)
  lay(
    parent,
    part(
      [
        { image: 1, pages: 2, at: 1 },
        { image: 1, pages: 1, at: 7 },
      ],
      1,
    ),
    1000,
  )
  t.equal(parent.open, false)
  const second = part([{ image: 1, pages: 1, at: 2 }], 2)
  parent.begin(second.length)
  t.equal(parent.write(second.subarray(0, 5)), null)
  t.same(parent.write(second.subarray(5)), { part: 2, bytes: pageBytes }, 'it says which part that was')
  t.same(readFileSync(join(directory, 'laid-2')), second.subarray(0, 20), 'what is in it is listed for the engine')
  const bytes = readFileSync(join(directory, 'pages-1.img'))
  const pages = Array.from({ length: 8 }, (_, page) => bytes[page * pageBytes])
  t.same(pages, [0, 1, 2, 0, 0, 0, 0, 1])
  t.equal(bytes.length, 8 * pageBytes)
})

t.test('memory ahead: what does not lie in the images is refused', async (t) => {
  const { parent } = make(t)
  const refused = (data: Buffer) => t.throws(() => lay(parent, data, 1 << 20), { code: 'BAD_REQUEST' })
  refused(part([{ image: 2, pages: 1, at: 0 }], 1))
  refused(part([{ image: 1, pages: 1, at: 8 }], 1))
  refused(part([{ image: 1, pages: 9, at: 0 }], 1))
  refused(part([{ image: 1, pages: 2, at: 0 }], 1).subarray(0, 4 + 16 + pageBytes))
  const lying = Buffer.alloc(4)
  lying.writeUInt32LE(1000, 0)
  refused(lying)
  t.throws(() => parent.write(Buffer.alloc(1)), { code: 'BAD_REQUEST' }, 'data that belongs to no part')
  const images = join(t.testdir(), 'images')
  mkdirSync(images)
  t.throws(() => new ParentImages(images, [{ name: '../x', sizeBytes: 1 }]), { code: 'BAD_REQUEST' })
})

/** An engine whose rounds are these, each a list of parts; and what goes over the connection. */
function source(t: Test, rounds: string[][]) {
  const directory = join(t.testdir(), 'parent')
  mkdirSync(directory)
  const sent: string[] = []
  const calls: number[] = []
  let left: string[] = []
  let number = 0
  const copyMemory = async (_: string, { mostBytes }: { mostBytes: number }) => {
    calls.push(mostBytes)
    if (left.length === 0) left = [...(rounds.shift() ?? [])]
    const content = left.shift()
    if (content === undefined) return { file: null, bytes: 0, round: 1, leftBytes: 0, tracked: true }
    const file = `part-${++number}`
    writeFileSync(join(directory, file), content)
    return { file, bytes: content.length, round: 1, leftBytes: left.length, tracked: true }
  }
  const connection = {
    bytesSent: 0,
    heldBackMs: 0,
    frameBytes: 1 << 20,
    sendMessage: async ({ kind }: { kind: string }) => void sent.push(kind),
    send: async (_: number, data: Buffer) => void sent.push(data.toString()),
  }
  const session = new MigrationSession('op', 'c1', 'source', () => {})
  const parts = { engine: { call: copyMemory }, log: { warn: () => {} } } as unknown as AgentParts
  const ahead = { container: 'c1', epoch: 1, directory }
  const memory = new MemoryAhead(parts, session, connection as unknown as StreamConnection, ahead)
  return { memory, session, sent, calls }
}

t.test('memory ahead: what is taken last is taken at once and whole, and goes when it is told to', async (t) => {
  const { memory, session, sent, calls } = source(t, [['first'], ['later', 'rest']])
  await memory.send(movePlan('web', undefined, 0))
  t.same(sent, ['parent', 'pages', 'first'])
  const send = await memory.takeLast()
  t.equal(calls.length, 3, 'all parts of a round')
  t.same(sent, ['parent', 'pages', 'first'], 'it waits')
  t.equal(session.figures.ahead_last_bytes, 9)
  await send()
  t.same(sent.slice(3), ['pages', 'later', 'pages', 'rest'])
  await session.close()
  t.equal(calls.at(-1), 0, 'the engine is told to forget')
})

t.test('memory ahead: a round later on sends what was written since', async (t) => {
  const { memory, session, sent } = source(t, [['first'], ['second']])
  await memory.send(movePlan('web', undefined, 0))
  t.equal(await memory.again(), true)
  t.same(sent.slice(3), ['pages', 'second'])
  t.equal(session.figures.ahead_rounds, 2)
  t.same(await (await memory.takeLast())(), undefined, 'nothing is left')
  t.equal(sent.length, 5)
  await session.close()
})
