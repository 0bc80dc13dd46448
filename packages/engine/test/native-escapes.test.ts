// Known ways out of a container, tried by root in a real one: each must be refused, with the refusal that is meant and not for want
// of a program. Two containers share the host, so that ways from one into the other are tried, too.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const source = fileURLToPath(new URL('escape-attempts.c', import.meta.url))
const hasCompiler = spawnSync('cc', ['--version']).status === 0

function buildAttempts(image: string): void {
  if (hasCompiler) execFileSync('cc', ['-static', '-O1', '-o', join(image, 'bin/escape-attempts'), source])
}

interface Attempt {
  name: string
  /** NEIGHBOUR: the host's pid of the other container's init. It must end with an error. */
  script: string
  refusal: RegExp
}

const denied = /permission denied|operation not permitted|read-only file system/i
/** The kernel of this machine may be built without it. */
const deniedOrUnbuilt = /permission denied|operation not permitted|read-only file system|nonexistent directory/i
const absent = /No such file or directory|No such process/

const attempts: Attempt[] = [
  {
    name: 'release_agent: a version 1 hierarchy is mounted to write its agent',
    script: 'mkdir -p /tmp/cg; mount -t cgroup -o memory cgroup /tmp/cg && echo /tmp/x > /tmp/cg/release_agent',
    refusal: denied,
  },
  {
    name: 'release_agent: the same in user, mount and cgroup namespaces of its own',
    script: 'mkdir -p /tmp/cg; busybox unshare -U -r -m mount -t cgroup -o memory cgroup /tmp/cg',
    refusal: denied,
  },
  { name: 'core_pattern is written', script: 'echo "|/tmp/x" > /proc/sys/kernel/core_pattern', refusal: denied },
  {
    name: 'core_pattern is written through a new proc',
    script: 'mkdir -p /tmp/p; mount -t proc proc /tmp/p; echo "|/tmp/x" > /tmp/p/sys/kernel/core_pattern',
    refusal: denied,
  },
  {
    name: 'core_pattern is written by the root of a user namespace inside',
    script: 'busybox unshare -U -r sh -c \'echo "|/tmp/x" > /proc/sys/kernel/core_pattern\'',
    refusal: denied,
  },
  {
    name: 'modprobe: the path of the helper is written',
    script: 'echo /tmp/x > /proc/sys/kernel/modprobe',
    refusal: deniedOrUnbuilt,
  },
  { name: 'uevent_helper is written', script: 'echo /tmp/x > /sys/kernel/uevent_helper', refusal: deniedOrUnbuilt },
  { name: 'sysrq is triggered', script: 'echo h > /proc/sysrq-trigger', refusal: deniedOrUnbuilt },
  { name: 'sysrq is switched on', script: 'echo 1 > /proc/sys/kernel/sysrq', refusal: deniedOrUnbuilt },
  { name: 'mknod of a disk', script: 'busybox mknod /tmp/disk b 8 0', refusal: denied },
  { name: 'mknod of kernel memory', script: 'busybox mknod /dev/mem c 1 1', refusal: denied },
  {
    name: 'mknod by the root of a user namespace inside',
    script: 'busybox unshare -U -r busybox mknod /tmp/disk b 8 0',
    refusal: denied,
  },
  { name: 'raw memory is read', script: 'busybox dd if=/dev/mem of=/dev/null bs=1 count=1', refusal: absent },
  { name: 'the kernel log is read', script: 'busybox dmesg', refusal: denied },
  {
    name: 'kcore is read',
    script: 'busybox head -c 1 /proc/kcore',
    refusal: /Permission denied|Operation not permitted|No such/,
  },
  { name: 'the clock is set', script: 'busybox date -s 2001-01-01; test $(busybox date +%Y) = 2001', refusal: denied },
  {
    name: 'a swap file is made the kernel its own',
    script:
      'busybox dd if=/dev/zero of=/tmp/s bs=4096 count=16 2>/dev/null; busybox mkswap /tmp/s >/dev/null; busybox swapon /tmp/s',
    refusal: denied,
  },
  { name: 'init is made safe from the OOM killer', script: 'echo -1000 > /proc/1/oom_score_adj', refusal: denied },
  { name: 'debugfs is mounted', script: 'mkdir -p /tmp/d; mount -t debugfs d /tmp/d', refusal: denied },
  { name: 'tracefs is mounted', script: 'mkdir -p /tmp/d; mount -t tracefs d /tmp/d', refusal: denied },
  {
    name: 'unshare and mount: debugfs from a user and mount namespace inside',
    script: 'mkdir -p /tmp/d; busybox unshare -U -r -m mount -t debugfs d /tmp/d',
    refusal: denied,
  },
  {
    name: 'unshare and mount: nodev taken off what the container was given',
    script: 'busybox unshare -U -r -m mount -o remount,bind,rw,dev,suid,exec /proc',
    refusal: denied,
  },
  {
    name: 'a file system is mounted from a file',
    script:
      'busybox dd if=/dev/zero of=/tmp/i bs=4096 count=16 2>/dev/null; mkdir -p /tmp/d; mount -t ext4 -o loop /tmp/i /tmp/d',
    refusal: /loop|permission denied|not permitted/i,
  },
  { name: 'the root of the neighbour is read', script: 'ls /proc/NEIGHBOUR/root/', refusal: absent },
  {
    name: 'ptrace: the memory of the neighbour is read',
    script: 'busybox head -c 1 /proc/NEIGHBOUR/mem',
    refusal: absent,
  },
  { name: 'the neighbour is killed', script: 'kill -9 NEIGHBOUR', refusal: absent },
  {
    name: 'the namespaces of the neighbour are entered',
    script: 'busybox nsenter -t NEIGHBOUR -m ls /',
    refusal: absent,
  },
]

/** System calls, by the names of escape-attempts.c. KEY: a key of the host's; NEIGHBOUR as above. */
const calls: { name: string; attempt: string; refusal: RegExp }[] = [
  { name: 'open_by_handle_at: a file of the host by its inode', attempt: 'by-handle', refusal: /^EPERM/ },
  { name: 'umount2 with MNT_FORCE', attempt: 'force-unmount', refusal: /^EACCES/ },
  { name: 'what its root is mounted over', attempt: 'below-root', refusal: /^EINVAL/ },
  { name: 'kexec_load', attempt: 'kexec', refusal: /^EPERM/ },
  { name: 'kexec_file_load', attempt: 'kexec-file', refusal: /^EPERM/ },
  { name: 'kexec_load as a 32-bit program', attempt: 'kexec-32', refusal: /^(EPERM|ENOSYS)/ },
  { name: 'init_module', attempt: 'load-module', refusal: /^EPERM/ },
  { name: 'finit_module', attempt: 'load-module-file', refusal: /^EPERM/ },
  { name: 'delete_module', attempt: 'remove-module', refusal: /^EPERM/ },
  { name: 'bpf: a program is loaded', attempt: 'bpf', refusal: /^EPERM/ },
  { name: 'perf_event_open of the whole machine', attempt: 'perf', refusal: /^(EPERM|EACCES)/ },
  { name: 'userfaultfd', attempt: 'userfaultfd', refusal: /^ENOSYS/ },
  { name: 'io_uring_setup', attempt: 'io-uring', refusal: /^ENOSYS/ },
  { name: 'keyctl: a key of the host is read', attempt: 'read-key KEY', refusal: /^(EACCES|ENOKEY)/ },
  { name: 'keyctl: a key of another container’s root is searched', attempt: 'find-key', refusal: /^(ENOKEY|EACCES)/ },
  { name: 'ptrace of the neighbour', attempt: 'ptrace NEIGHBOUR', refusal: /^ESRCH/ },
  { name: 'process_vm_readv of the neighbour', attempt: 'read-memory NEIGHBOUR', refusal: /^ESRCH/ },
  { name: 'pidfd_open of the neighbour', attempt: 'pidfd NEIGHBOUR', refusal: /^(ESRCH|EINVAL)/ },
  { name: 'TIOCSTI: keys are pushed into a terminal', attempt: 'push-key', refusal: /^EPERM/ },
  { name: 'iopl', attempt: 'iopl', refusal: /^EPERM/ },
  { name: 'ioperm', attempt: 'ioperm', refusal: /^EPERM/ },
  { name: 'settimeofday', attempt: 'set-clock', refusal: /^EPERM/ },
  { name: 'fanotify that may deny the host its files', attempt: 'fanotify', refusal: /^EPERM/ },
  {
    name: 'cgroup version 1: the list of devices is mounted and opened',
    attempt: 'cgroup-v1',
    refusal: /^(EPERM|EACCES|ENODEV)/,
  },
]

/** What an escape would have changed on the host. */
const hostSettings = () =>
  ['core_pattern', 'sysrq', 'modprobe'].map((name) => {
    const path = `/proc/sys/kernel/${name}`
    return existsSync(path) ? readFileSync(path, 'utf8') : null
  })

t.test('ways out of a container', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('escape', 80, buildAttempts)
  t.teardown(() => stage.network.close())
  const { network, host, client } = stage
  const sh = (container: string, script: string) => stage.sh(container, script)
  const prisoner = await stage.start(1)
  const neighbour = await stage.start(2)
  const before = hostSettings()

  await t.test('what is no escape works, so that the refusals mean something', async (t) => {
    const script =
      'mkdir -p /tmp/t && busybox unshare -U -r -m mount -t tmpfs none /tmp/t && mount -t tmpfs none /tmp/t'
    t.same(await sh('c1', script), { code: 0, output: '' })
    t.match(await sh('c1', 'busybox dd if=/dev/zero of=/dev/null bs=1 count=1 2>/dev/null; echo $?'), { output: '0' })
    t.match(await sh('c1', 'busybox nsenter -t 1 -m ls /proc/1/root/'), { code: 0 })
  })

  for (const { name, script, refusal } of attempts) {
    await t.test(`refused: ${name}`, async (t) => {
      const { code, output } = await sh('c1', script.replaceAll('NEIGHBOUR', String(neighbour.initPid)))
      t.not(code, 0, output)
      t.match(output, refusal)
      t.notMatch(output, /applet not found|: not found|invalid option|unrecognized option|Usage:/)
      t.same(hostSettings(), before, 'the host is as it was')
    })
  }

  await t.test('system calls', { skip: hasCompiler ? false : 'needs a C compiler' }, async (t) => {
    const program = join(network.directory, 'image/bin/escape-attempts')
    const key = execFileSync(program, ['make-key'], { encoding: 'utf8' }).trim()
    t.teardown(() => execFileSync(program, ['remove-key', key]))
    t.match(
      await sh('c2', 'escape-attempts make-key; escape-attempts find-key'),
      { code: 0, output: /done/ },
      'its own key is found',
    )
    for (const { name, attempt, refusal } of calls) {
      await t.test(`refused: ${name}`, async (t) => {
        const words = attempt.replace('NEIGHBOUR', String(neighbour.initPid)).replace('KEY', key)
        const { code, output } = await sh('c1', `escape-attempts ${words}`)
        t.equal(code, 1, output)
        t.match(output, refusal)
      })
    }
  })

  await t.test('init and commands hold no file of the host', async (t) => {
    const pid = prisoner.initPid as number
    const links = readdirSync(`/proc/${pid}/fd`)
    t.ok(links.length > 0)
    const devices = new Set([statSync(`/proc/${pid}/root`).dev, statSync(`/proc/${pid}/root/dev`).dev])
    for (const link of links)
      t.ok(devices.has(statSync(`/proc/${pid}/fd/${link}`).dev), `descriptor ${link} is of its own root`)
    const { output } = await sh('c1', 'for f in /proc/self/fd/*; do readlink $f; done')
    t.match(await sh('c1', 'ls /proc/self/fd'), { output: /^0\n1\n2\n3$/ }, '3 is the folder that ls reads')
    for (const target of output.split('\n')) t.match(target, /^(pipe:|socket:|\/proc\/\d+\/fd|\/dev\/null|$)/)
  })

  await t.test('there are no devices but those that are harmless', async (t) => {
    const { output } = await sh('c1', 'cd /dev; for n in *; do test -b $n && echo $n; test -c $n && echo $n; done')
    t.same(output.split('\n').sort(), ['console', 'full', 'null', 'ptmx', 'random', 'tty', 'urandom', 'zero'])
  })

  await t.test('its root is nobody on the host, and another nobody than the neighbour', async (t) => {
    t.equal(statSync(`/proc/${prisoner.initPid}`).uid, 1_000_000 + 65_536)
    t.equal(statSync(`/proc/${neighbour.initPid}`).uid, 1_000_000 + 2 * 65_536)
  })

  await t.test('symlinked mount target: a link out of the root is followed inside it', async (t) => {
    const lure = join(network.directory, 'lure')
    mkdirSync(lure)
    const planted = await sh(
      'c2',
      `busybox umount /run; busybox rmdir /run; ln -s /../../../../..${lure} /run; readlink /run`,
    )
    t.match(planted, { code: 0, output: lure })
    await client.call('kill', { container: 'c2', epoch: 1, signal: 9 })
    await t.rejects(client.call('start', { container: 'c2', epoch: 1 }), {
      message: /File exists|No such file or directory/,
    })
    t.same(readdirSync(lure), [], 'nothing was made there')
    t.notOk(
      host.leftovers().some((line) => line.includes('lure')),
      'nor mounted',
    )
  })

  await t.test('nothing is left', async (t) => {
    for (const container of ['c1', 'c2']) await client.call('delete', { container, epoch: 1 })
    t.same(host.leftovers(), [])
  })
})
