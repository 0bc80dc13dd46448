// What a container's `security` does: capabilities seen from inside, what nesting opens and what stays shut without it, and what
// a privileged container is and is kept from. Needs root.

import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DroverError, Security } from '@drover/protocol'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const bit = (number: number) => 1n << BigInt(number)
const [sysModule, netRaw, sysTime] = [bit(16), bit(13), bit(25)]
const setClock = 'busybox date -s 2001-01-01; test $(busybox date +%Y) = 2001'
const crun = '/usr/bin/crun'

let stage: OneHost

t.before(async () => {
  if (reasonToSkip) return
  stage = await OneHost.make('security', 83, (image) => {
    if (existsSync(crun)) copyProgram(crun, image)
  })
})
t.teardown(() => stage?.network.close())

/** With the libraries that it needs. */
function copyProgram(program: string, image: string): void {
  const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/\S+/g) ?? []
  for (const file of [program, ...libraries]) {
    mkdirSync(join(image, dirname(file)), { recursive: true })
    copyFileSync(file, join(image, file))
  }
}

async function boundingSet(container: string, process: string): Promise<bigint> {
  const { output } = await stage.sh(container, `grep CapBnd /proc/${process}/status`)
  return BigInt(`0x${output.split('\t')[1]}`)
}

const failure = (call: Promise<unknown>): Promise<DroverError | null> =>
  call.then(
    () => null,
    (thrown: DroverError) => thrown,
  )

t.test('capabilities: init and commands have those of the spec, and no others', { skip: reasonToSkip }, async (t) => {
  await stage.start(1)
  await stage.start(2, { security: { addCapabilities: ['SYS_TIME'], dropCapabilities: ['NET_RAW'] } })
  const usual = await boundingSet('c1', '1')
  t.equal(usual & sysTime, 0n)
  t.equal(usual & netRaw, netRaw)
  for (const process of ['1', 'self']) t.equal(await boundingSet('c2', process), (usual | sysTime) & ~netRaw, process)
  t.match(
    await stage.sh('c2', 'busybox arping -c 1 -I eth0 10.83.1.1'),
    { output: /not permitted/ },
    'no raw sockets without NET_RAW',
  )
  t.match(
    await stage.sh('c2', setClock),
    { output: /not permitted/ },
    'SYS_TIME of its own user namespace sets no clock',
  )
})

t.test('capabilities: changed while it is stopped, refused while it runs', { skip: reasonToSkip }, async (t) => {
  const { limits } = stage.spec(1)
  const change = (security: Security) => stage.client.call('update', { container: 'c1', epoch: 1, limits, security })
  t.match(await failure(change({ dropCapabilities: ['NET_RAW'] })), { code: 'WRONG_STATE', message: /stopped/ })
  await stage.client.call('kill', { container: 'c1', epoch: 1, signal: 9 })
  await change({ dropCapabilities: ['NET_RAW'] })
  await stage.client.call('start', { container: 'c1', epoch: 1 })
  t.equal((await boundingSet('c1', '1')) & netRaw, 0n)
  await stage.host.killEngine()
  await stage.host.startEngine()
  t.equal((await boundingSet('c1', 'self')) & netRaw, 0n, 'the next engine knows it')
  t.match((await stage.client.call('get', { container: 'c1' })).security, { dropCapabilities: ['NET_RAW'] })
})

t.test('security: what makes no sense is refused by the name of its field', { skip: reasonToSkip }, async (t) => {
  const create = (security: unknown) =>
    failure(stage.client.call('create', { spec: stage.spec(9, { security: security as Security }) }))
  t.match(await create({ addCapabilities: ['SYS_EVERYTHING'] }), {
    code: 'BAD_REQUEST',
    message: /addCapabilities.*SYS_EVERYTHING/,
  })
  t.match(await create({ addCapabilities: 'NET_RAW' }), { code: 'BAD_REQUEST', message: /addCapabilities/ })
  t.match(await create({ addCapabilities: ['NET_RAW'], dropCapabilities: ['NET_RAW'] }), {
    message: /NET_RAW.*dropCapabilities/,
  })
  t.match(await create({ nesting: 1 }), { code: 'BAD_REQUEST', message: /nesting/ })
  const { limits } = stage.spec(1)
  await stage.client.call('kill', { container: 'c2', epoch: 1, signal: 9 })
  const turned = stage.client.call('update', { container: 'c2', epoch: 1, limits, security: { privileged: true } })
  t.match(await failure(turned), { code: 'BAD_REQUEST', message: /privileged/ })
})

/** A container inside a container by its parts: user, PID, mount, network, IPC and UTS namespaces with file systems of its own. */
const inner = (work: string) =>
  `mkdir -p /tmp/root; busybox unshare -U -r -m -p -f -n -i -u sh -c 'mount -t tmpfs none /tmp/root && cd /tmp/root && mkdir proc sys bin && cp /bin/busybox bin && ${work}'`

t.test('nesting: a container inside mounts its own proc and sysfs, with it only', { skip: reasonToSkip }, async (t) => {
  await stage.start(3, { security: { nesting: true } })
  const whole = inner(
    'mount -t proc none proc && mount -t sysfs none sys && bin/busybox chroot . /bin/busybox ps | wc -l',
  )
  t.match(await stage.sh('c3', whole), { code: 0 })
  t.match(await stage.sh('c3', 'test -c /dev/fuse && test -c /dev/net/tun && : <> /dev/fuse; echo $?'), { output: '0' })
  for (const type of ['proc', 'sysfs']) {
    const mounted = await stage.sh('c1', inner(`mount -t ${type} none proc`))
    t.match(mounted, { code: /[^0]/, output: /permission denied|not permitted/i }, `${type} without it`)
  }
  t.match(await stage.sh('c1', 'test -e /dev/fuse; echo $?'), { output: '1' })
})

t.test(
  'nesting: a runtime of the distribution runs a container inside',
  { skip: reasonToSkip || (existsSync(crun) ? false : 'needs crun') },
  async (t) => {
    const bundle = `
    mkdir -p /tmp/b/rootfs/bin /tmp/b/rootfs/proc /run/crun && cp /bin/busybox /tmp/b/rootfs/bin/sh && cd /tmp/b && crun spec --rootless &&
    busybox sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"sh"/"sh", "-c", "echo inner $$; mount -t tmpfs x \\/tmp; ls \\/proc\\/self\\/ns"/' config.json &&
    busybox unshare -U -r -m crun --root /run/crun --cgroup-manager=disabled run inner`
    const ran = await stage.sh('c3', bundle)
    t.match(ran, { code: 0, output: /inner 1/ })
    t.match(await stage.sh('c1', bundle), { code: /[^0]/, output: /mount.*proc|proc.*denied|permitted/i })
  },
)

t.test('nesting: what stays shut', { skip: reasonToSkip }, async (t) => {
  for (const script of [
    'echo x > /dev/.drover/proc/sys/kernel/core_pattern',
    'busybox mknod /tmp/disk b 8 0',
    'busybox dmesg',
    'echo h > /dev/.drover/proc/sysrq-trigger',
  ])
    t.match(
      await stage.sh('c3', script),
      { code: /[^0]/, output: /denied|not permitted|read-only|nonexistent/i },
      script,
    )
})

t.test('privileged: its root is the host’s, behind what still holds', { skip: reasonToSkip }, async (t) => {
  const container = await stage.start(4, { security: { privileged: true } })
  t.equal(statSync(`/proc/${container.initPid}`).uid, 0)
  t.equal(statSync(container.upper).uid, statSync(stage.spec(4).rootfs).uid, 'files of the image are not shifted')
  t.match(readFileSync(`/proc/${container.initPid}/uid_map`, 'utf8'), /^\s*0\s+0\s+4294967295/)
  t.equal((await boundingSet('c4', '1')) & (sysModule | sysTime), 0n)
  t.match(
    await stage.sh(
      'c4',
      'hostname; ps | head -2 | tail -1; ip -o addr show eth0; echo hi > /tmp/file; ls -ln /tmp/file',
    ),
    {
      code: 0,
      output: /^web-4\n.*init[\s\S]*10\.83\.1\.4\/16[\s\S]* 0 +0 /,
    },
  )
  for (const [script, refusal] of [
    ['echo x > /proc/sys/kernel/core_pattern', /read-only/i],
    ['echo h > /proc/sysrq-trigger', /read-only|nonexistent/i],
    ['busybox mknod /tmp/disk b 8 0', /not permitted/],
    [setClock, /not permitted/],
    ['echo 1 > /sys/kernel/mm/ksm/run', /read-only|nonexistent/i],
  ] as const)
    t.match(await stage.sh('c4', script), { code: /[^0]/, output: refusal }, script)
  t.match(await stage.sh('c4', 'echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward'), {
    output: '1',
  })
  const read = await stage.client.call('fileStat', { container: 'c4', path: '/tmp/file', follow: true })
  t.match(read, { uid: 0, gid: 0 })
  t.match(await stage.client.call('processes', { container: 'c4' }), { processes: [{ pid: 1, uid: 0 }] })
  await stage.client.call('kill', { container: 'c4', epoch: 1, signal: 9 })
  await stage.client.call('start', { container: 'c4', epoch: 1 })
  t.match(await stage.sh('c4', 'cat /tmp/file'), { output: 'hi' })
})

t.test('each is removed without a trace', { skip: reasonToSkip }, async (t) => {
  for (const container of ['c1', 'c2', 'c3', 'c4']) await stage.client.call('delete', { container, epoch: 1 })
  t.same(stage.host.leftovers(), [])
})
