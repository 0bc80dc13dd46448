// The destination's parent images: pages land where a part says, and a part that lies is refused.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ParentImages } from '../src/migration/memory-ahead.ts'

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
