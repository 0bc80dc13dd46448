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
    if (method === 'fileRead') return { dataBase64: Buffer.from(tree.get(path) ?? '').toString('base64') }
    if (method === 'fileMake') tree.set(`${path}/`, '')
    if (method !== 'fileWrite') return {}
    if (path.endsWith(failAt) && failAt !== '' && !failed) {
      failed = true
      throw new DroverError('ENGINE_FAILED', 'the disk is full')
    }
    if (!tree.has(`${path.replace(/\/[^/]*$/, '')}/`)) throw new DroverError('FILE_NOT_FOUND', `${path}: no directory`)
    tree.set(path, Buffer.from(String(params.dataBase64), 'base64').toString())
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

t.test('with cloud-init: a NoCloud seed, also after a failure in the middle', async (t) => {
  const { tree, parts } = disk(withCloudInit, 0, 'meta-data')
  const wanted = assignment({ userData: '#cloud-config\npackages: [cron]\n', sshKeys: [key] })
  await t.rejects(prepareFirstBoot(parts, wanted), { message: 'the disk is full' })
  t.notOk(tree.has(`${seed}/meta-data`), 'without it the seed is none')
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

t.test('without: keys for root, beside those that are there; user data is refused with its reason', async (t) => {
  const { tree, parts } = disk({ '/root/': '', '/root/.ssh/': '', '/root/.ssh/authorized_keys': 'ssh-rsa AAAA other' })
  await prepareFirstBoot(parts, assignment({ sshKeys: [key] }))
  t.equal(tree.get('/root/.ssh/authorized_keys'), `ssh-rsa AAAA other\n${key}\n`)
  await prepareFirstBoot(parts, assignment({ sshKeys: [key] }))
  t.equal(tree.get('/root/.ssh/authorized_keys'), `ssh-rsa AAAA other\n${key}\n`, 'each once')
  const refused = { code: 'WRONG_STATE', message: /start web: it has user data, and image tiny has no cloud-init/ }
  await t.rejects(prepareFirstBoot(parts, assignment({ userData: '#cloud-config\n' })), refused)
})

t.test('only before the first start, and only if there is something to tell', async (t) => {
  const started = disk(withCloudInit, 1)
  await prepareFirstBoot(started.parts, assignment({ userData: '#cloud-config\n' }))
  const plain = disk(withCloudInit)
  await prepareFirstBoot(plain.parts, assignment(undefined))
  for (const { tree } of [started, plain]) t.same([...tree.keys()], Object.keys(withCloudInit))
})
