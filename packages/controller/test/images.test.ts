// Images in the committed state: made of what was sent or of a container, named, described, removed, and what hosts are told to keep.

import type { ImageSource } from '@drover/protocol'
import t from 'tap'
import { completeBatch, imageTasksOf } from '../src/core/assignments.ts'
import { ModelCluster } from './support/model-cluster.ts'

const upload = { kind: 'upload', upload: 'f'.repeat(32), sha256: '0'.repeat(64), init: null } as const

function begin() {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  const at = () => ({ atMs: cluster.nowMs })
  let keys = 0
  const change = (name: string, wanted: 'remove' | { alias?: string; properties?: Record<string, string | null> }) =>
    cluster.propose({ type: 'ImageChanged', ...at(), operation: `change-${++keys}`, name, change: wanted })
  const make = (operation: string, name: string, source: ImageSource = upload, host = 'a') => ({
    type: 'ImageMakingStarted' as const,
    ...at(),
    operation,
    kind: source.kind === 'container' ? ('publish' as const) : ('image-import' as const),
    name,
    host,
    source,
    properties: { os: 'x' },
  })
  const image = (name: string) => cluster.state.tables.images.get(name)
  const refusal = (outcome: ReturnType<typeof change>) => (outcome.ok ? null : outcome.error.error.code)
  return { cluster, change, make, image, refusal }
}

t.test('import: the host that has the archive makes it, and its name stands for it', async (t) => {
  const { cluster, make, image, refusal } = begin()
  cluster.must(make('op-1', 'mine'))
  t.match(imageTasksOf(cluster.state, 'a'), [{ operation: 'op-1', name: 'mine', recipe: '', source: upload }])
  t.same(imageTasksOf(cluster.state, 'b'), [])
  t.equal(refusal(cluster.propose(make('op-2', 'mine'))), 'BUSY')
  cluster.settle()
  t.match(cluster.operation('op-1'), { kind: 'image-import', state: 'done' })
  t.match(image('mine'), { name: 'mine', builtOn: 'a', properties: { os: 'x' } })
})

t.test('origin: kept with the image, and what is said of it later is part of it', async (t) => {
  const { cluster, make, image, change } = begin()
  const origin = { kind: 'url', url: 'https://images.example/x.tar', etag: '"1"', modified: null } as const
  cluster.must({ ...make('op-1', 'site'), origin })
  cluster.settle()
  const expected = { kind: 'archive', from: origin, sha256: '0'.repeat(64), init: null, said: { os: 'x' } }
  t.strictSame(image('site')?.origin, expected)
  t.ok(change('site', { alias: 'also', properties: { os: null, release: '2' } }).ok)
  t.strictSame(image('also')?.origin, { ...expected, said: { release: '2' } })
  cluster.must(make('op-2', 'mine'))
  cluster.settle()
  t.equal(image('mine')?.origin, undefined, 'nobody said')
  cluster.must({
    type: 'ImageBuildStarted',
    atMs: cluster.nowMs,
    operation: 'op-3',
    recipe: 'busybox',
    name: 'box',
    host: 'a',
  })
  cluster.settle()
  t.strictSame(image('box')?.origin, { kind: 'recipe', recipe: 'busybox' })
  const again = { type: 'ImageBuildStarted', recipe: 'busybox', name: 'box', host: 'a' } as const
  cluster.must({ ...again, atMs: cluster.nowMs, operation: 'op-4', properties: { os: 'x' } })
  cluster.settle()
  t.match(image('box'), { properties: { os: 'x' }, origin: { kind: 'recipe', said: { os: 'x' } } })
})

t.test('publish: the container is held until its image is there', async (t) => {
  const { cluster, make, image, refusal } = begin()
  cluster.launch('web', 'a')
  cluster.settle()
  const source = { kind: 'container', container: 'web', snapshot: null } as const
  t.equal(refusal(cluster.propose(make('op-1', 'golden', source, 'b'))), 'WRONG_STATE', 'it is on another host')
  t.equal(refusal(cluster.propose(make('op-1', 'golden', { ...source, snapshot: 'none' }))), 'SNAPSHOT_NOT_FOUND')
  cluster.must(make('op-1', 'golden', source))
  const { id, operation } = cluster.container('web')
  t.equal(operation, 'op-1')
  t.match(imageTasksOf(cluster.state, 'a'), [{ source: { kind: 'container', container: id } }])
  cluster.settle()
  t.match(cluster.container('web'), { operation: null, state: 'running' })
  t.match(image('golden'), {
    properties: { os: 'x', source: 'web' },
    origin: { kind: 'container', container: 'web', snapshot: null, said: { os: 'x' } },
  })
})

t.test('names: one more, described, taken away; hosts keep what has a name or a container', async (t) => {
  const { cluster, change, image, refusal } = begin()
  const digest = image('busybox')?.digest
  t.ok(change('busybox', { alias: 'box', properties: { os: 'tiny', gone: 'x' } }).ok)
  t.match(image('box'), { digest, name: 'box', properties: { os: 'tiny' } })
  t.ok(change('box', { properties: { gone: null } }).ok)
  t.same(image('box')?.properties, { os: 'tiny' })
  t.equal(refusal(change('box', { alias: 'busybox' })), 'NAME_TAKEN')
  t.equal(refusal(change('none', 'remove')), 'IMAGE_NOT_FOUND')
  const kept = () => completeBatch(cluster.state, 'b', 1).images
  t.ok(change('busybox', 'remove').ok)
  t.same(kept(), [digest], 'its other name')
  cluster.launch('web', 'a')
  cluster.settle()
  t.ok(change('box', 'remove').ok)
  t.same(kept(), [digest], 'a container is made of it')
  cluster.must({
    type: 'PowerRequested',
    atMs: cluster.nowMs,
    operation: 'delete-web',
    kind: 'delete',
    container: 'web',
    stopTimeoutMs: null,
  })
  cluster.settle()
  t.same(kept(), [])
})
