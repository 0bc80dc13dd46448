// An image that is published is whole after a power cut: its content is never compared with its digest again.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCutDisk, whyNoCutDisk } from '@drover/testkit/cut-disk'
import t from 'tap'
import { ImageStore } from '../src/images/image-store.ts'

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
