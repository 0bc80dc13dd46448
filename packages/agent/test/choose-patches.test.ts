// For any two states of a larger file: the pieces that are sent make of the one the other, and no more of them are sent than differ.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { anotherRound, changedFiles, lastPatch, mostFiles, patchesAhead } from '../src/migration/choose-patches.ts'
import type { Manifest, ManifestEntry } from '../src/migration/disk-manifest.ts'
import { type IndexEntry, numberBytes, pieceBytes } from '../src/migration/tree-index.ts'

/** One number a piece; 0 is zeros. */
type Pieces = readonly number[]

const numbersOf = (pieces: Pieces) => Buffer.concat(pieces.map((piece) => Buffer.alloc(numberBytes, piece)))

function indexed(pieces: Pieces, more: Partial<IndexEntry> = {}): IndexEntry {
  const content = pieces.join()
  const sizeBytes = pieces.length * pieceBytes
  const facts = `${sizeBytes} 1`
  const plain = { kind: 'file', hasOtherNames: false, attributes: 'same' } as const
  return { ...plain, sizeBytes, facts, content, pieces: numbersOf(pieces), ...more }
}

const entry = (sizeBytes: number, more: Partial<ManifestEntry> = {}) =>
  ({
    type: 'file',
    mode: 0o600,
    uid: 7,
    gid: 8,
    sizeBytes: BigInt(sizeBytes),
    mtimeNs: 5n,
    nlink: 1n,
    ...more,
  }) as ManifestEntry

function patched(before: Pieces, after: Pieces, runs: [number, number][]): number[] {
  const result = after.map((_, at) => before[at] ?? 0)
  for (const [offset, length] of runs)
    for (let at = offset / pieceBytes; at < (offset + length) / pieceBytes; at++) result[at] = after[at] as number
  return result
}

const anyPieces = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 4, maxLength: 24 })
const manifest = (entries: Record<string, ManifestEntry>): Manifest => new Map(Object.entries(entries))

t.test('the last pieces of a file make it what it is at the source', async () => {
  fc.assert(
    fc.property(anyPieces, anyPieces, (here, there) => {
      const known = indexed(here)
      const patch = lastPatch('f', entry(known.sizeBytes), known, indexed(there))
      if (patch === 'same') return assert.deepEqual(here, there)
      if (patch === null) return assert.ok(here.filter((piece, at) => piece === 0 && there[at]).length > 16)
      assert.deepEqual(patched(there, here, patch.runs), here)
      const sent = patch.runs.reduce((total, [, length]) => total + length / pieceBytes, 0)
      assert.equal(sent, here.filter((piece, at) => piece !== (there[at] ?? 0)).length)
    }),
  )
})

t.test('what is not plainly the same file goes whole', async (t) => {
  const known = indexed([1, 2, 3, 4])
  const cases: [string, IndexEntry, IndexEntry, ManifestEntry][] = [
    ['other attributes', known, indexed([1, 2, 3, 5], { attributes: 'other' }), entry(known.sizeBytes)],
    ['several names there', known, indexed([1, 2, 3, 5], { hasOtherNames: true }), entry(known.sizeBytes)],
    ['several names here', { ...known, hasOtherNames: true }, known, entry(known.sizeBytes)],
    ['another kind there', known, indexed([], { kind: 'other' }), entry(known.sizeBytes)],
    ['a small one there', known, indexed([]), entry(known.sizeBytes)],
    ['another size than was looked at', known, known, entry(known.sizeBytes + 1)],
    ['a time before 1970', known, known, entry(known.sizeBytes, { mtimeNs: -1n })],
  ]
  for (const [name, here, there, file] of cases) t.equal(lastPatch('f', file, here, there), null, name)
  const moreZeros = Array.from({ length: 17 }, () => 0)
  const full = moreZeros.map(() => 1)
  t.equal(lastPatch('f', entry(17 * pieceBytes), indexed(moreZeros), indexed(full)), null, 'much of it is a hole now')
})

t.test('a time alone is a patch without pieces', async (t) => {
  const known = indexed([1, 2, 3, 4])
  const patch = lastPatch('f', entry(known.sizeBytes), known, { ...known, facts: 'another time' })
  t.match(patch, { runs: [], mtimeNs: 5n })
})

t.test('while it runs, larger files that changed go, in directories that are there', async (t) => {
  const directory = entry(0, { type: 'directory' })
  const first = manifest({ '.': directory, d: directory, 'd/a': entry(1 << 20), 'd/b': entry(1 << 20) })
  const now = manifest({
    '.': directory,
    d: directory,
    'd/a': entry(1 << 20, { mtimeNs: 6n }),
    'd/b': entry(1 << 20),
    'd/made': entry(1 << 20),
    'd/small': entry(1000),
    'd/linked': entry(1 << 20, { nlink: 2n }),
    new: directory,
    'new/made': entry(1 << 20),
  })
  t.same(changedFiles(first, first, now, new Set()), ['d/a', 'd/made'])
  t.same(changedFiles(first, first, now, new Set(['d/b'])), ['d/a', 'd/b', 'd/made'])
  const here = new Map([['d/made', indexed([1, 0, 2, 3])]])
  const [patch] = patchesAhead(['d/made'], now, here, new Map())
  t.same(patch?.runs, [
    [0, pieceBytes],
    [2 * pieceBytes, 2 * pieceBytes],
  ])
  t.same(patch?.create, { mode: 0o600, uid: 7, gid: 8 })
  t.same(patchesAhead(['d/made'], now, here, here), [], 'what is there need not go')
})

t.test('of too many files the largest go in pieces', async (t) => {
  const sizes = Array.from({ length: mostFiles + 10 }, (_, at) => (1 + ((at * 7) % (mostFiles + 10))) << 20)
  const first = manifest({ '.': entry(0, { type: 'directory' }) })
  const now = manifest(Object.fromEntries(sizes.map((size) => [`f${size}`, entry(size)])))
  const largest = sizes.sort((left, right) => right - left).slice(0, mostFiles)
  t.same(
    changedFiles(first, first, now, new Set()),
    largest.map((size) => `f${size}`),
  )
})

t.test('rounds end', async (t) => {
  const mib = 1 << 20
  t.equal(anotherRound([1000]), false, 'little is left')
  t.equal(anotherRound([8 * mib]), true)
  t.equal(anotherRound([8 * mib, 4 * mib]), true)
  t.equal(anotherRound([8 * mib, 7 * mib]), false, 'it writes as fast as it is sent')
  t.equal(anotherRound([64, 32, 16, 8, 4].map((each) => each * mib)), false, 'enough of them')
})
