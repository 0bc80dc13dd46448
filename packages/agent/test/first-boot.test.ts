// What a container's disk gets before its first start: a seed where cloud-init reads it, else keys; once, and whole when repeated.

import { type Assignment, DroverError, type FirstBoot } from '@drover/protocol'
import t from 'tap'
import type { AgentParts } from '../src/parts.ts'
import { prepareFirstBoot } from '../src/steps/first-boot.ts'

/** A disk in memory: directories end with a slash. `failAt`: the write that fails once. */
function disk(files: Record<string, string>, starts = 0, failAt = '') {
  const tree = new Map(Object.entries(files))
  let failed = false
  const call = async (method: string, params: Record<string, unknown>) => {
    const path = String(params.path)
    if (method === 'fileStat' && !tree.has(path) && !tree.has(`${path}/`)) throw new DroverError('FILE_NOT_FOUND', path)
    if (method === 'fileStat') return { type: 'file', sizeBytes: Buffer.byteLength(tree.get(path) ?? '') }
    if (method === 'fileRead' && !tree.has(path)) throw new DroverError('FILE_NOT_FOUND', path)
    if (method === 'fileRead') {
      const data = Buffer.from(tree.get(path) as string)
      return { dataBase64: data.toString('base64'), sizeBytes: data.length }
    }
    if (method === 'fileList') {
      const names = [...tree.keys()].filter((each) => each.replace(/[^/]*$/, '') === `${path}/` && each !== `${path}/`)
      return { entries: names.map((each) => ({ name: each.slice(path.length + 1), type: 'file' })) }
    }
    if (method === 'fileMake') tree.set(`${path}/`, '')
    if (method !== 'fileWrite') return {}
    if (path.endsWith(failAt) && failAt !== '' && !failed) {
      tree.set(path, (tree.get(path) ?? '').slice(0, Number(params.offset)))
      failed = true
      throw new DroverError('ENGINE_FAILED', 'the disk is full')
    }
    if (!tree.has(`${path.replace(/\/[^/]*$/, '')}/`)) throw new DroverError('FILE_NOT_FOUND', `${path}: no directory`)
    const kept = (tree.get(path) ?? '').slice(0, Number(params.offset))
    tree.set(path, kept + Buffer.from(String(params.dataBase64), 'base64').toString())
    return {}
  }
  const parts = { mirror: { get: () => ({ starts }) }, engine: { call } } as unknown as AgentParts
  return { tree, parts }
}

const assignment = (firstBoot: FirstBoot | undefined, container = 'c7') =>
  ({
    container,
    name: 'web',
    identity: { machineId: 'ab'.repeat(16) },
    spec: { imageName: 'tiny', ...(firstBoot === undefined ? {} : { firstBoot }) },
  }) as unknown as Assignment

const withCloudInit = { '/usr/bin/cloud-init': '', '/var/': '', '/var/lib/': '' }
const seed = '/var/lib/cloud/seed/nocloud'
const key = 'ssh-ed25519 AAAAC3Nz me@home'
const place = '/var/lib/drover/first-boot/c7-abababababab'

t.test('with cloud-init: a NoCloud seed, also after a failure in the middle', async (t) => {
  const { tree, parts } = disk(withCloudInit, 0, 'meta-data')
  const wanted = assignment({ userData: '#cloud-config\npackages: [cron]\n', sshKeys: [key] })
  await t.rejects(prepareFirstBoot(parts, wanted), { message: 'the disk is full' })
  t.notOk(tree.get(`${seed}/meta-data`), 'without it the seed is none')
  await prepareFirstBoot(parts, wanted)
  t.equal(tree.get(`${seed}/user-data`), '#cloud-config\npackages: [cron]\n')
  t.same(JSON.parse(tree.get(`${seed}/network-config`) ?? ''), { config: 'disabled' })
  t.same(JSON.parse(tree.get(`${seed}/meta-data`) ?? ''), {
    'instance-id': 'c7-abababababab',
    'local-hostname': 'web',
    'public-keys': [key],
  })
  t.notOk(tree.has(`${seed}/vendor-data`))
  const copy = disk(withCloudInit)
  await prepareFirstBoot(copy.parts, assignment({ userData: '#!/bin/sh\n' }, 'c8'))
  t.match(copy.tree.get(`${seed}/meta-data`), /"c8-/, 'a copy is another instance')
})

t.test('without: keys for root, beside those that are there', async (t) => {
  const { tree, parts } = disk({ '/root/': '', '/root/.ssh/': '', '/root/.ssh/authorized_keys': 'ssh-rsa AAAA other' })
  for (const _again of [1, 2]) {
    await prepareFirstBoot(parts, assignment({ sshKeys: [key] }))
    t.equal(tree.get('/root/.ssh/authorized_keys'), `ssh-rsa AAAA other\n${key}\n`, 'each once')
  }
  t.notOk(tree.has(`${place}/run`), 'nothing needs a running system')
})

const image = {
  '/etc/': '',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\nold:x:1000:1000::/srv/old:/bin/sh\n',
  '/etc/group': 'root:x:0:\nold:x:1000:\nsudo:x:27:old\n',
  '/etc/shadow': 'root:*:19000:0:99999:7:::\nold:!:::::::\n',
  '/etc/motd': 'hello\n',
  '/etc/skel/': '',
  '/etc/skel/.profile': 'umask 22\n',
}
const told = `#cloud-config
users:
  - {name: ann, homedir: /srv/ann, groups: [sudo, ops], sudo: ALL=(ALL) ALL, passwd: $6$s$h, ssh_authorized_keys: [${key}]}
  - {name: old, groups: ops}
write_files:
  - {path: /etc/motd, content: "more\\n", append: true}
  - {path: /srv/deep/x, content: x, owner: 'ann:ops'}
runcmd: [echo it's]
`

t.test(
  'without: users, files and a script for the rest; once, also after a failure anywhere in the middle',
  async (t) => {
    const whole = disk(image)
    await prepareFirstBoot(whole.parts, assignment({ userData: told }))
    const { tree } = whole
    t.match(tree.get('/etc/passwd'), /^root:x:0:0:root:\/root:\/bin\/sh\n.*\nann:x:1001:1001::\/srv\/ann:\/bin\/sh\n$/s)
    t.equal(tree.get('/etc/group'), 'root:x:0:\nold:x:1000:\nsudo:x:27:old,ann\nann:x:1001:\nops:x:1002:ann,old\n')
    t.equal(
      tree.get('/etc/shadow'),
      'root:*:19000:0:99999:7:::\nold:!:::::::\nann:!$6$s$h::0:99999:7:::\n',
      'locked, if not said otherwise',
    )
    t.notOk(tree.has('/etc/gshadow'), 'what the image has not isn’t made')
    t.equal(tree.get('/srv/ann/.ssh/authorized_keys'), `${key}\n`)
    t.equal(tree.get('/srv/ann/.profile'), 'umask 22\n')
    t.equal(tree.get('/etc/sudoers.d/90-drover-users'), 'ann ALL=(ALL) ALL\n')
    t.equal(tree.get('/etc/motd'), 'hello\nmore\n')
    t.equal(tree.get('/srv/deep/x'), 'x')
    t.match(tree.get(`${place}/run`), /eval 'echo it'\\''s'/)
    const written = [...tree.keys()].filter(
      (path) => !path.endsWith('/') && tree.get(path) !== (image as Record<string, string>)[path],
    )
    for (const failAt of written) {
      const again = disk(image, 0, failAt)
      await t.rejects(
        prepareFirstBoot(again.parts, assignment({ userData: told })),
        { message: 'the disk is full' },
        failAt,
      )
      await prepareFirstBoot(again.parts, assignment({ userData: told }))
      t.same(Object.fromEntries(again.tree), Object.fromEntries(tree), failAt)
    }
  },
)

t.test('without: what can’t be carried out is refused with field and reason', async (t) => {
  const table: [string, RegExp][] = [
    ['ntp: {}', /start web: first boot without cloud-init: ntp: /],
    ['timezone: Europe/Rome', /timezone: Europe\/Rome: the image has no \/usr\/share\/zoneinfo/],
    ['write_files: [{path: /x, owner: nobody}]', /write_files\[0\]\.owner: nobody:nobody: the image has no such/],
    ['users: [{name: eve, uid: 1000}]', /uid 1000 for eve is already that of old/],
  ]
  for (const [text, message] of table) {
    const { parts } = disk(image)
    await t.rejects(prepareFirstBoot(parts, assignment({ userData: `#cloud-config\n${text}\n` })), {
      code: 'WRONG_STATE',
      message,
    })
  }
})

t.test('only before the first start, and only if there is something to tell', async (t) => {
  const started = disk(withCloudInit, 1)
  await prepareFirstBoot(started.parts, assignment({ userData: '#cloud-config\n' }))
  const plain = disk(withCloudInit)
  await prepareFirstBoot(plain.parts, assignment(undefined))
  for (const { tree } of [started, plain]) t.same([...tree.keys()], Object.keys(withCloudInit))
})
