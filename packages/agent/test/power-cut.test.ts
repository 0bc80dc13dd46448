// What counts after a power cut: an image that is published is whole, for its content is never compared with its digest again; and a container's
// layer is on the destination's disk before the source's is removed.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { makeCutDisk, whyNoCutDisk } from '@drover/testkit/cut-disk'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { ImageStore } from '../src/images/image-store.ts'
import { withoutNats } from './harness.ts'
import { type Move, runningOnA, type Test, until, upToPrecopied } from './moving.ts'

const digest = `sha256:${'a'.repeat(64)}`

t.test('a published image survives a power cut', { skip: whyNoCutDisk() }, async (t) => {
  const disk = makeCutDisk(t)
  const store = new ImageStore(join(disk.place, 'images'))
  const staged = store.stage()
  const rootfs = join(staged, 'rootfs')
  mkdirSync(rootfs)
  for (let number = 0; number < 50; number += 1) writeFileSync(join(rootfs, `file-${number}`), `content ${number}`)
  writeFileSync(join(staged, 'layer.tar'), 'layer')
  const record = { digest, name: 'cut', sizeBytes: 5, init: ['/sbin/init'] }
  await store.publish(staged, record)
  const after = new ImageStore(join(disk.cut(), 'images'))
  t.match(after.get(digest), record)
  for (let number = 0; number < 50; number += 1)
    t.equal(readFileSync(join(after.rootfs(digest), `file-${number}`), 'utf8'), `content ${number}`)
})

/** Less than the kernel takes to write what nobody asks for (vm.dirty_expire_centisecs). */
const soonMs = 20_000
const why = withoutNats || whyNoCutDisk()

async function upToSwitched(move: Move): Promise<void> {
  move.phase('switching')
  await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
}

/** Where the layer is within b's place. */
const layerOf = ({ cluster, b }: Move) => relative(join(cluster.directory, 'b'), b.engine.containers.upper('c1'))

for (const [kind, bytes] of [
  ['small', 5_000],
  ['large', 500_000],
] as const) {
  t.test(`a ${kind} layer that has gone ahead of the freeze survives a power cut`, { skip: why }, async (t) => {
    const disk = makeCutDisk(t)
    const move = await runningOnA(t, 'live', 'running', disk.place)
    const upper = move.a.engine.containers.upper('c1')
    mkdirSync(join(upper, 'var'), { recursive: true })
    for (const name of ['one', 'two']) writeFileSync(join(upper, 'var', name), name.repeat(bytes))
    await upToPrecopied(move)
    const after = join(disk.cut(), layerOf(move))
    for (const name of ['one', 'two']) t.equal(readFileSync(join(after, 'var', name), 'utf8'), name.repeat(bytes), name)
  })
}

const lastWords = 'written after the pre-copy'

/** Restored on b, with a file that is one of the last changes; what of it a power cut would leave. */
async function changedLast(t: Test, mode: 'live' | 'cold'): Promise<{ move: Move; left: () => string | null }> {
  const disk = makeCutDisk(t)
  const move = await runningOnA(t, mode, 'running', disk.place)
  await upToPrecopied(move)
  writeFileSync(join(move.a.engine.containers.upper('c1'), 'late'), lastWords)
  await upToSwitched(move)
  const left = () => {
    const late = join(disk.cut(), layerOf(move), 'late')
    return existsSync(late) ? readFileSync(late, 'utf8') : null
  }
  return { move, left }
}

t.test('cold: a layer that has arrived survives a power cut, with its last changes', { skip: why }, async (t) => {
  const { left } = await changedLast(t, 'cold')
  t.equal(left(), lastWords)
})

t.test('live: the last changes are on the disk soon after the switch', { skip: why }, async (t) => {
  const { move, left } = await changedLast(t, 'live')
  move.phase('committed')
  await until(move, 'released', ['b', 'released'])
  await waitUntil('the last changes to be on the disk', soonMs, () => left() === lastWords)
})
