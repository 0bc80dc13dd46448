// What need not be sent to a host that has an older state of a layer: for any two layers, what stays there, pieces and archive together are
// the newer one, and nothing is sent whole that is there already.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Manifest, ManifestEntry } from '../src/migration/disk-manifest.ts'
import { type Likeness, likenessOf } from '../src/migration/likeness.ts'
import {
  type IndexEntry,
  numberBytes,
  parseTreeIndex,
  pieceBytes,
  type TreeIndex,
} from '../src/migration/tree-index.ts'

interface Node {
  kind: IndexEntry['kind']
  mode: number
  mtime: number
  /** Of a file: one number a piece, 0 is zeros. */
  pieces: number[]
  names: number
}
/** By path; the root is '.', and every parent is there. */
type Layer = Map<string, Node>

const leastPieces = 4
const node = (more: Partial<Node> = {}): Node => ({
  kind: 'file',
  mode: 0o644,
  mtime: 1,
  pieces: [],
  names: 1,
  ...more,
})
const directory = (more: Partial<Node> = {}) => node({ kind: 'directory', mode: 0o755, ...more })
const layer = (nodes: Record<string, Node>): Layer => new Map([['.', directory()], ...Object.entries(nodes)])

const anyFile = fc.record({
  kind: fc.constantFrom<Node['kind']>('file', 'file', 'file', 'other'),
  mode: fc.constantFrom(0o644, 0o644, 0o600),
  mtime: fc.integer({ min: 1, max: 2 }),
  pieces: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 }),
  names: fc.constantFrom(1, 1, 1, 2),
})
const anyLayer = fc
  .dictionary(fc.constantFrom('a', 'b', 'd/a', 'd/b', 'd/e/a', 'f', 'f/a', 'd', 'with space ', 'li\nne'), anyFile, {
    maxKeys: 8,
  })
  .chain((files) => fc.constantFrom(0o755, 0o755, 0o700).map((mode) => wholeLayer(files, mode)))

/** With the directories that it takes; a name can't be a file and a directory. */
function wholeLayer(files: Record<string, Node>, mode: number): Layer {
  const whole: Layer = new Map([['.', directory()]])
  for (const path of Object.keys(files).sort()) {
    const parents = path
      .split('/')
      .slice(0, -1)
      .map((_, index, names) => names.slice(0, index + 1).join('/'))
    for (const parent of parents) whole.set(parent, directory({ mode }))
    const file = files[path] as Node
    whole.set(path, file.kind === 'file' ? { ...file } : { ...file, pieces: [], names: 1 })
  }
  return new Map([...whole].sort(([left], [right]) => (left < right ? -1 : 1)))
}

const sizeOf = ({ pieces }: Node) => pieces.length * pieceBytes

function manifestOf(from: Layer): Manifest {
  const entry = (each: Node) =>
    ({
      type: each.kind === 'other' ? 'symlink' : each.kind,
      sizeBytes: BigInt(sizeOf(each)),
      mtimeNs: BigInt(each.mtime),
    }) as ManifestEntry
  return new Map([...from].map(([path, each]) => [path, entry(each)]))
}

function indexOf(from: Layer): TreeIndex {
  const number = (value: number) => Buffer.alloc(numberBytes, value)
  const entry = (each: Node): IndexEntry => ({
    kind: each.kind,
    sizeBytes: sizeOf(each),
    facts: `${each.kind} ${each.mode} ${each.mtime} ${sizeOf(each)}`,
    attributes: `${each.kind} ${each.mode}`,
    content: String(each.pieces),
    hasOtherNames: each.names > 1,
    pieces:
      each.names === 1 && each.pieces.length >= leastPieces ? Buffer.concat(each.pieces.map(number)) : Buffer.alloc(0),
  })
  return new Map([...from].map(([path, each]) => [path, entry(each)]))
}

/** As the destination does: removes, patches, unpacks all that isn't left out. */
function applied(old: Layer, now: Layer, { startOver, remove, same, patches }: Likeness): Layer {
  const result: Layer = startOver ? new Map() : new Map(old)
  for (const path of remove)
    for (const each of [...result.keys()]) if (each === path || each.startsWith(`${path}/`)) result.delete(each)
  for (const { path, sizeBytes, mtimeNs, runs } of patches) {
    const was = result.get(path) as Node
    const length = sizeBytes / pieceBytes
    const pieces = Array.from({ length }, (_, index) => was.pieces[index] ?? 0)
    for (const [offset, bytes] of runs)
      for (let at = offset; at < offset + bytes; at += pieceBytes)
        pieces[at / pieceBytes] = now.get(path)?.pieces[at / pieceBytes] as number
    result.set(path, { ...was, pieces, mtime: Number(mtimeNs) })
  }
  const leftOut = new Set([...same, ...patches.map(({ path }) => path)])
  for (const [path, each] of now) {
    if (leftOut.has(path)) continue
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
    const inTheWay = result.get(path)
    if (inTheWay?.kind === 'directory' && each.kind !== 'directory')
      throw new Error(`${path}: a directory is in the way`)
    if (path !== '.' && result.get(parent)?.kind !== 'directory') throw new Error(`${path}: its parent is no directory`)
    result.set(path, each)
  }
  return result
}

const likeness = (old: Layer, now: Layer) => likenessOf(manifestOf(now), indexOf(now), indexOf(old))
const sorted = (from: Layer) => [...from].sort(([left], [right]) => (left < right ? -1 : 1))

t.test('likeness: of any two layers the newer one comes about', async (t) => {
  fc.assert(
    fc.property(anyLayer, anyLayer, (old, now) => {
      assert.deepStrictEqual(sorted(applied(old, now, likeness(old, now))), sorted(now))
    }),
    { numRuns: 500 },
  )
  t.pass()
})

t.test(
  'likeness: of two that are the same nothing is sent but directories, links, and names that no list can hold',
  async (t) => {
    fc.assert(
      fc.property(anyLayer, (both) => {
        const { same, patches, remove } = likeness(both, both)
        const expected = [...both].filter(
          ([path, { kind, names }]) => kind !== 'directory' && names === 1 && !/\n|\s$/.test(path),
        )
        assert.deepStrictEqual([...same].sort(), expected.map(([path]) => path).sort())
        assert.deepStrictEqual([patches, remove], [[], []])
      }),
      { numRuns: 200 },
    )
    t.pass()
  },
)

t.test('likeness: of a large file the pieces that differ are sent', async (t) => {
  const pieces = Array.from({ length: 100 }, (_, index) => 1 + (index % 3))
  const changed = pieces.with(7, 9).with(8, 9).with(50, 9)
  const old = layer({ db: node({ pieces }) })
  const { patches, reusedBytes, same } = likeness(old, layer({ db: node({ pieces: changed, mtime: 2 }) }))
  t.strictSame(patches, [
    {
      path: 'db',
      sizeBytes: 100 * pieceBytes,
      mtimeNs: 2n,
      runs: [
        [7 * pieceBytes, 2 * pieceBytes],
        [50 * pieceBytes, pieceBytes],
      ],
    },
  ])
  t.equal(reusedBytes, 97 * pieceBytes)
  t.strictSame(same, [])
})

t.test('likeness: what is not plainly the same is sent whole', async (t) => {
  const pieces = [1, 2, 3, 1, 2, 3]
  const cases: [string, Partial<Node>][] = [
    ['another mode', { mode: 0o600 }],
    ['a second name', { names: 2 }],
    ['a new hole', { pieces: pieces.with(2, 0) }],
    ['more than half is other', { pieces: [9, 9, 9, 9, 2, 3] }],
  ]
  for (const [what, change] of cases) {
    const { patches, same } = likeness(layer({ file: node({ pieces }) }), layer({ file: node({ pieces, ...change }) }))
    t.strictSame([patches, same], [[], []], what)
  }
  const touched = likeness(layer({ file: node({ pieces }) }), layer({ file: node({ pieces, mtime: 2 }) }))
  t.strictSame(touched.patches[0]?.runs, [], 'of one whose time alone has changed, the time')
})

t.test('likeness: the same times and size are no proof of the same content', async (t) => {
  const { same, patches } = likeness(layer({ file: node({ pieces: [1] }) }), layer({ file: node({ pieces: [2] }) }))
  t.strictSame([same, patches], [[], []])
})

t.test('likeness: nothing is used of a layer whose root has other attributes, or that can’t be read', async (t) => {
  const now = layer({ file: node({ pieces: [1] }) })
  const old = new Map(now).set('.', directory({ mode: 0o700 }))
  t.equal(likeness(old, now).startOver, true)
  t.equal(likenessOf(manifestOf(now), indexOf(now), null).startOver, true)
  t.equal(likenessOf(manifestOf(now), null, indexOf(now)).startOver, true)
})

t.test('likeness: what is no index is none', async (t) => {
  t.equal(parseTreeIndex(Buffer.alloc(0)), null)
  t.equal(parseTreeIndex(Buffer.from('something else')), null)
  const head = Buffer.alloc(70)
  head.writeUInt32LE(0x31786464, 0)
  head.writeUInt32LE(0xffffffff, 4)
  t.equal(parseTreeIndex(head), null, 'a name that is longer than the rest')
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (rest) => {
      parseTreeIndex(Buffer.concat([head.subarray(0, 4), rest]))
    }),
  )
})
