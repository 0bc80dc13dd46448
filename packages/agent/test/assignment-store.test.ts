// The assignments that an agent remembers: what a batch replaces, and what a restart finds.

import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Assignment, AssignmentBatch } from '@drover/protocol'
import t from 'tap'
import { AssignmentStore } from '../src/assignment-store.ts'
import { assignmentFor } from './harness.ts'

const image = `sha256:${'a'.repeat(64)}`
const assigned = (container: string, revision: number, more: Partial<Assignment> = {}): Assignment => ({
  ...assignmentFor(container, image),
  revision,
  ...more,
})
const batch = (assignments: Assignment[], more: Partial<AssignmentBatch> = {}): AssignmentBatch => ({
  term: 1,
  index: Math.max(1, ...assignments.map((assignment) => assignment.revision)),
  complete: false,
  assignments,
  imageTasks: [],
  ...more,
})

t.test('assignments: newer ones replace older ones, never the other way', async (t) => {
  const store = new AssignmentStore(t.testdir())
  t.same(store.apply(batch([assigned('c1', 5)])).changed, ['c1'])
  t.same(store.apply(batch([assigned('c1', 4, { desired: 'stopped' })])).changed, [])
  t.same(store.apply(batch([assigned('c1', 5, { desired: 'stopped' })])).changed, [], 'nor the same revision')
  t.equal(store.get('c1')?.desired, 'running')
  store.apply(batch([assigned('c1', 6, { desired: 'stopped' })]))
  t.equal(store.get('c1')?.desired, 'stopped')
})

t.test('assignments: batches of a deposed leader are dropped', async (t) => {
  const store = new AssignmentStore(t.testdir())
  store.apply(batch([assigned('c1', 5)], { term: 3 }))
  t.match(store.apply(batch([assigned('c1', 9)], { term: 2 })), { changed: [], dropped: /term 2 is older than 3/ })
  t.equal(store.get('c1')?.revision, 5)
})

t.test('assignments: a complete batch removes what it lacks, but not what is newer than it', async (t) => {
  const store = new AssignmentStore(t.testdir())
  store.apply(batch([assigned('c1', 5), assigned('c2', 6)]))
  store.apply(batch([assigned('c3', 10)]))
  t.match(store.apply(batch([], { index: 8, complete: true })), { dropped: /index 8 is older than 10/ })
  t.same(store.apply(batch([assigned('c2', 6)], { index: 10, complete: true })).changed.sort(), ['c1', 'c3'])
  t.equal(store.get('c1'), null)
  t.equal(store.isUnlisted('c1'), true)
  t.equal(store.isUnlisted('c2'), false)
})

t.test('assignments: nothing counts as unlisted before this process got a complete batch', async (t) => {
  const directory = t.testdir()
  new AssignmentStore(directory).apply(batch([], { complete: true }))
  await new Promise(setImmediate)
  t.equal(new AssignmentStore(directory).isUnlisted('c1'), false)
})

t.test('assignments: a restarted agent has them all, with term, index and what ran', async (t) => {
  const directory = t.testdir()
  const first = new AssignmentStore(directory)
  first.apply(batch([assigned('c1', 5), assigned('c2', 6)], { term: 4 }))
  first.noteRunning('c1')
  await new Promise(setImmediate)
  const second = new AssignmentStore(directory)
  t.equal(second.get('c1')?.revision, 5)
  t.equal(second.ranUnder('c1'), 5)
  t.equal(second.ranUnder('c2'), null)
  t.match(second.apply(batch([assigned('c1', 9)], { term: 3 })), { dropped: /term 3/ })
  t.same(second.apply(batch([assigned('c1', 4)], { term: 4 })).changed, [])
})

t.test('assignments: a damaged line is as if it was never there, and harms no other', async (t) => {
  const directory = t.testdir()
  const file = join(directory, 'assignments', 'journal')
  new AssignmentStore(directory).apply(batch([assigned('c1', 5), assigned('c2', 6)]))
  const lines = readFileSync(file, 'utf8').split('\n')
  const [first = '', second = ''] = lines.filter((line) => line.includes('assignment'))
  writeFileSync(
    file,
    `${first.slice(0, 40)}\n[]\n"x"\n{"assignment":{"container":"c9"}}\n${second}\n${first.slice(0, 90)}`,
  )
  const store = new AssignmentStore(directory)
  t.equal(store.get('c1'), null)
  t.equal(store.get('c2')?.revision, 6)
  appendFileSync(file, '{"assignment": {"contai')
  store.apply(batch([assigned('c1', 7)]))
  t.equal(new AssignmentStore(directory).get('c1')?.revision, 7, 'what is written after half a line is read')
})

t.test('assignments: the file stays small, and loses nothing by it', async (t) => {
  const directory = t.testdir()
  const store = new AssignmentStore(directory)
  store.apply(batch([assigned('c1', 1), assigned('c2', 2), assigned('c3', 2)]))
  store.apply(batch([assigned('c1', 1), assigned('c2', 2)], { complete: true, index: 3 }))
  for (let revision = 4; revision < 2_000; revision++) {
    store.apply(batch([assigned('c1', revision)]))
    if (revision % 100 === 0) await new Promise(setImmediate)
  }
  await new Promise(setImmediate)
  t.ok(statSync(join(directory, 'assignments', 'journal')).size < 512 * 1024)
  const again = new AssignmentStore(directory)
  t.same(
    again
      .all()
      .map(({ container, revision }) => [container, revision])
      .sort(),
    [
      ['c1', 1_999],
      ['c2', 2],
    ],
  )
})

t.test('assignments: a container id that is no id can not become a path', async (t) => {
  const store = new AssignmentStore(t.testdir())
  t.same(store.apply(batch([assigned('c1', 5, { container: '../../escape' })])).changed, [])
})

t.test('assignments: what can not be written is not taken up, and said', async (t) => {
  const warnings: string[] = []
  const directory = t.testdir({ assignments: { journal: { inTheWay: '' } } })
  const store = new AssignmentStore(directory, (message) => warnings.push(message))
  t.same(store.apply(batch([assigned('c1', 5), assigned('c2', 6)])).changed, [])
  t.equal(store.get('c1'), null)
  store.apply(batch([assigned('c1', 5)], { complete: true, index: 9 }))
  t.equal(store.isUnlisted('c1'), false, 'nor is it taken for one that is to be removed')
  t.match(warnings[0], /assignments\/journal/)
  rmSync(join(directory, 'assignments', 'journal'), { recursive: true })
  t.same(store.apply(batch([assigned('c1', 5)])).changed, ['c1'], 'it is tried again')
})

t.test('assignments: what could not be written and is then not listed any more is removed, as any other', async (t) => {
  const store = new AssignmentStore(t.testdir({ assignments: { journal: { inTheWay: '' } } }))
  store.apply(batch([assigned('c1', 5), assigned('c2', 12)]))
  t.same(store.apply(batch([], { complete: true, index: 12 })).changed.sort(), ['c1', 'c2'])
  t.equal(store.isUnlisted('c1'), true)
  store.apply(batch([assigned('c3', 20)]))
  store.apply(batch([], { complete: true, index: 12 }))
  t.equal(store.isUnlisted('c3'), false, 'it came after the batch was made')
})
