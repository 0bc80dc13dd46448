// launch: user data and keys are read from files, and wrong ones refused before anything is launched.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'

t.test('launch: user data and keys go along as they are in the files', async (t) => {
  const directory = temporaryDirectory(t, 'first-boot')
  const file = (name: string, text: string) => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const cluster = await fakeCluster(t)
  const data = file('data', '#cloud-config\nusers: []\n')
  const keys = file('keys', '# mine\nssh-ed25519 AAAAC3Nz me\n\nssh-rsa AAAAB3 you\n')
  await cluster.drover(['launch', 'db', '--user-data', data, '--ssh-key', keys, '--no-wait'])
  t.match(cluster.writes[0], [
    'POST',
    '/v1/containers',
    {
      name: 'db',
      firstBoot: { userData: '#cloud-config\nusers: []\n', sshKeys: ['ssh-ed25519 AAAAC3Nz me', 'ssh-rsa AAAAB3 you'] },
    },
  ])
  const table: [string[], RegExp][] = [
    [['--user-data', file('yaml', 'users: []\n')], /#cloud-config.*users: \[\]/],
    [['--user-data', join(directory, 'none')], /can’t be read/],
    [['--ssh-key', file('private', '-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n')], /not a list of public keys/],
    [['--ssh-key', file('empty', '')], /no public key/],
  ]
  for (const [flags, said] of table) {
    const { exitCode, stderr } = await cluster.drover(['launch', 'db', ...flags])
    t.equal(exitCode, 2)
    t.match(stderr, said)
    t.notMatch(stderr, /secret/)
  }
  t.equal(cluster.writes.length, 1, 'nothing else was launched')
})
