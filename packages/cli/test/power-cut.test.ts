// What a machine has alone, its settings, keys and certificates, is whole after a power cut right after `drover up` wrote it.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeCutDisk, whyNoCutDisk } from '@drover/testkit/cut-disk'
import t from 'tap'
import { ensureCertificate } from '../src/daemons/authority.ts'
import { ensureSettings, readSettings } from '../src/daemons/node-settings.ts'

const skip = whyNoCutDisk()

t.test('settings survive a power cut: new ones, and changed ones', { skip }, async (t) => {
  const disk = makeCutDisk(t)
  ensureSettings(disk.place, 'simulated')
  const settings = ensureSettings(disk.place, 'simulated', { nat: false })
  t.same(readSettings(disk.cut()), settings)
})

t.test('the authority, the certificate and both keys survive a power cut', { skip }, async (t) => {
  const disk = makeCutDisk(t)
  const request = (place: string) => ({
    authority: join(place, 'authority'),
    directory: join(place, 'tls'),
    cluster: 'local',
    host: 'a',
    addresses: ['127.0.0.1'],
  })
  ensureCertificate(request(disk.place))
  const after = disk.cut()
  for (const file of [
    'authority/authority.pem',
    'authority/authority-key.pem',
    'tls/authority.pem',
    'tls/host.pem',
    'tls/host-key.pem',
  ])
    t.equal(readFileSync(join(after, file), 'utf8'), readFileSync(join(disk.place, file), 'utf8'), file)
})
