// Sysctls and resource limits of a container: there before init runs, its own alone, changed as it runs, refused with a reason. Needs root.

import { readFileSync } from 'node:fs'
import type { DroverError } from '@drover/protocol'
import t from 'tap'
import type { EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

let stage: OneHost

t.before(async () => {
  if (!reasonToSkip) stage = await OneHost.make('kernel', 84)
})
t.teardown(() => stage?.network.close())

const failure = (call: Promise<unknown>): Promise<DroverError | null> =>
  call.then(
    () => null,
    (thrown: DroverError) => thrown,
  )
const read = async (container: string, name: string) =>
  (await stage.sh(container, `cat /proc/sys/${name.replaceAll('.', '/')}`)).output
/** Soft and hard, as the kernel tells them of a process of this machine. */
const limits = (pid: number | null, title: string) =>
  new RegExp(`^${title} +(\\S+) +(\\S+)`, 'm').exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.slice(1)
const update = (container: string, change: Partial<EngineSpec>) =>
  stage.client.call('update', { container, epoch: 1, limits: stage.spec(1).limits, ...change })

t.test('sysctls: set before init runs, in its own namespaces alone', { skip: reasonToSkip }, async (t) => {
  const sysctls = {
    'net.ipv4.ip_default_ttl': '77',
    'net/ipv4/conf/eth0/rp_filter': '2',
    'net.ipv4.ping_group_range': '0 1000',
    'kernel.msgmax': '16384',
    'fs.mqueue.msg_max': '33',
  }
  await stage.start(1, { sysctls })
  await stage.start(2)
  t.equal(await read('c1', 'net.ipv4.ip_default_ttl'), '77')
  t.equal(await read('c1', 'net.ipv4.conf.eth0.rp_filter'), '2')
  t.match(await read('c1', 'net.ipv4.ping_group_range'), /^0\s1000$/)
  t.equal(await read('c1', 'kernel.msgmax'), '16384')
  t.equal(await read('c1', 'fs.mqueue.msg_max'), '33')
  for (const [name, value] of [
    ['net.ipv4.ip_default_ttl', '77'],
    ['kernel.msgmax', '16384'],
  ] as const) {
    t.not(await read('c2', name), value, `${name} of another`)
    t.not(readFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, 'utf8').trim(), value, `${name} of the host`)
  }
  t.same((await stage.client.call('get', { container: 'c1' })).sysctls, sysctls)
})

t.test('sysctls: changed as it runs, all or none of them', { skip: reasonToSkip }, async (t) => {
  // None of net.core: kernels as old as 6.1 have none of these for a user namespace.
  const ttl = 'net.ipv4.ip_default_ttl'
  await update('c1', { sysctls: { [ttl]: '99', 'kernel.msgmax': '9000' } })
  t.equal(await read('c1', ttl), '99')
  t.equal(await read('c1', 'kernel.msgmax'), '9000')
  const wrong = await failure(update('c1', { sysctls: { [ttl]: '78', 'net.ipv4.ip_forward': 'x' } }))
  t.match(wrong?.message, /sysctl net\.ipv4\.ip_forward = x: Invalid argument/)
  t.equal(await read('c1', ttl), '99', 'what came before is taken back')
  t.same((await stage.client.call('get', { container: 'c1' })).sysctls, {
    [ttl]: '99',
    'kernel.msgmax': '9000',
  })
})

t.test('sysctls: those of the host are refused by name', { skip: reasonToSkip }, async (t) => {
  const create = (sysctls: unknown) =>
    failure(stage.client.call('create', { spec: stage.spec(9, { sysctls } as Partial<EngineSpec>) }))
  for (const name of [
    'kernel.core_pattern',
    'vm.swappiness',
    'net',
    'net..x',
    'net/../kernel/core_pattern',
    'fs.nr_open',
  ])
    t.match(
      await create({ [name]: '1' }),
      { code: 'BAD_REQUEST', message: /sysctls.*no variable of a container/ },
      name,
    )
  t.match(await create({ 'net.ipv4.ip_forward': '1\n0' }), { code: 'BAD_REQUEST', message: /one line/ })
  t.match(await create({ 'net.ipv4.ip_forward': 1 }), { code: 'BAD_REQUEST' })
  const started = await failure(stage.start(3, { sysctls: { 'net.ipv4.no_such_thing': '1' } }))
  t.match(started?.message, /start c3: sysctl net\.ipv4\.no_such_thing: this host's kernel gives containers none/)
  await stage.client.call('delete', { container: 'c3', epoch: 1 })
})

t.test('rlimits: of init, of what it starts and of commands', { skip: reasonToSkip }, async (t) => {
  const rlimits = {
    nofile: { soft: 64, hard: 512 },
    core: { soft: 0, hard: 0 },
    nproc: { soft: 300, hard: 400 },
    stack: { soft: 1 << 20, hard: null },
  }
  const { initPid } = await stage.start(4, { rlimits })
  t.same(limits(initPid, 'Max open files'), ['64', '512'])
  t.same(limits(initPid, 'Max core file size'), ['0', '0'])
  t.same(limits(initPid, 'Max processes'), ['300', '400'])
  t.same(limits(initPid, 'Max stack size'), ['1048576', 'unlimited'])
  t.same((await stage.sh('c4', 'ulimit -n; ulimit -Hn; ulimit -c')).output.split('\n'), ['64', '512', '0'])
  t.same((await stage.client.call('get', { container: 'c4' })).rlimits, rlimits)
})

t.test('rlimits: changed as it runs, for what runs already', { skip: reasonToSkip }, async (t) => {
  await stage.sh('c4', 'setsid sleep 1000 >/dev/null 2>&1 </dev/null &')
  const pids = (await stage.client.call('processes', { container: 'c4' })).processes.length
  t.ok(pids > 1, 'there is more than init')
  await update('c4', { rlimits: { nofile: { soft: 48, hard: 256 } } })
  const { initPid } = await stage.client.call('get', { container: 'c4' })
  t.same(limits(initPid, 'Max open files'), ['48', '256'])
  const counted = await stage.sh(
    'c4',
    'cat /proc/[0-9]*/limits | grep -c "Max open files *48 *256"; ls -d /proc/[0-9]* | wc -l',
  )
  const [with256 = 0, all = 0] = counted.output.split('\n').map(Number)
  t.ok(with256 >= pids && with256 <= all, `${with256} of ${all} processes`)
  t.same(limits(initPid, 'Max processes'), ['300', '400'], 'what is set no longer is kept until the next start')
  await stage.client.call('kill', { container: 'c4', epoch: 1, signal: 9 })
  const again = await stage.client.call('start', { container: 'c4', epoch: 1 })
  t.not(limits(again.initPid, 'Max processes')?.[0], '300')
  t.same(limits(again.initPid, 'Max open files'), ['48', '256'])
})

t.test('rlimits: what can’t be meant, and what the host can’t give', { skip: reasonToSkip }, async (t) => {
  const create = (rlimits: unknown) =>
    failure(stage.client.call('create', { spec: stage.spec(9, { rlimits } as Partial<EngineSpec>) }))
  t.match(await create({ files: { soft: 1, hard: 1 } }), {
    code: 'BAD_REQUEST',
    message: /`files` is no limit like nofile/,
  })
  t.match(await create({ nofile: { soft: 2, hard: 1 } }), { code: 'BAD_REQUEST', message: /soft is above hard/ })
  t.match(await create({ nofile: 5 }), { code: 'BAD_REQUEST', message: /soft and hard/ })
  const most = { nofile: { soft: 64, hard: 2 ** 40 } }
  t.match(await failure(stage.start(5, { rlimits: most })), {
    message: /start c5: rlimit nofile = \d+: this host gives at most \d+/,
  })
  await stage.client.call('delete', { container: 'c5', epoch: 1 })
})

t.test('each is removed without a trace', { skip: reasonToSkip }, async (t) => {
  for (const container of ['c1', 'c2', 'c4']) await stage.client.call('delete', { container, epoch: 1 })
  t.same(stage.host.leftovers(), [])
})
