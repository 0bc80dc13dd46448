// A whole distribution as people know it from machines: Debian as its packages are, unprivileged. One container boots with systemd and
// is looked at from many sides, a second one of the same image and a copy must differ where machines do; at the end the first
// one gets SysV's init from Debian's own package and boots with that. Packages come over the container's network.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { run, waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { debianDirectory, makeDebianLayer, makeRepository } from '../src/debian-layer.ts'
import { engineOfStories, type Story, settleDeadlineMs, tell, whyNot } from '../src/stories.ts'

const bootDeadlineMs = 120_000

async function cannot(): Promise<string | null> {
  if (engineOfStories === 'simulated') return 'simulated containers run no distribution'
  return whyNot() ?? (await makeDebianLayer()) ?? ((await makeRepository()).directory === null ? 'no packages' : null)
}

const skip = await cannot()
if (skip !== null) t.pass('left out', { skip })
else await tell(t, story, { hosts: ['a', 'b'], controllers: 1, layersDirectory: debianDirectory })

async function story(story: Story): Promise<void> {
  const { lab } = story
  const cli = (...args: string[]) => lab.cli(args, { deadlineMs: bootDeadlineMs })
  const sh = async (name: string, script: string) => {
    const { code, stdout, stderr } = await cli('exec', name, '--', 'sh', '-c', script)
    if (code !== 0) throw new Error(`${script}: exit code ${code}: ${stderr}${stdout}`)
    return stdout.trim()
  }
  const booted = (name: string) => sh(name, 'systemctl is-system-running --wait')
  const comesTo = (state: string, starts: number) =>
    waitUntil(`web to be ${state} after ${starts} starts`, settleDeadlineMs, async () => {
      const container = await story.container('web')
      return container.state === state && container.starts === starts && container.operation === null
    })
  const directory = mkdtempSync(join(tmpdir(), 'drover-whole-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))

  const mirror = await serve((await makeRepository()).directory as string)

  await story.must('image', 'build', 'debian')
  await story.must('launch', 'web', '--image', 'debian', '--memory', '512MiB')

  await t.test('systemd comes up whole, with no failed unit', async (t) => {
    t.equal(await booted('web'), 'running')
    t.equal(await sh('web', 'systemctl --failed --no-legend'), '')
    t.equal(await sh('web', 'cat /proc/1/comm; systemctl is-active multi-user.target ssh'), 'systemd\nactive\nactive')
    const { initPid } = await story.container('web')
    t.not(readFileSync(`/proc/${initPid}/uid_map`, 'utf8').trim().split(/\s+/)[1], '0', 'its root is not the host’s')
  })

  await t.test('a client outside logs in by ssh, with a key', async (t) => {
    const key = join(directory, 'key')
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    await story.must('file', 'push', `${key}.pub`, 'web:/root/.ssh/authorized_keys', '--mode', '600')
    t.equal(await ssh(story, 'web', key, 'root', 'hostname; cat /proc/1/comm'), 'web\nsystemd')
  })

  await t.test('apt-get installs from a mirror on the network, and the service runs', async (t) => {
    const line = `deb [trusted=yes] http://${lab.host('a').address.replace(/\d+$/, '254')}:${mirror} ./`
    await sh('web', `rm -f /etc/apt/sources.list.d/*; echo '${line}' >/etc/apt/sources.list; apt-get -q update`)
    const install = 'DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends'
    await sh('web', `${install} cron >/dev/null`)
    t.equal(
      await sh('web', 'dpkg -s cron | grep ^Status; systemctl is-active cron'),
      'Status: install ok installed\nactive',
    )
    await sh('web', "echo '@reboot root date >/root/cron-ran' >/etc/cron.d/test")
  })

  await t.test('a service is disabled, enabled, restarted and fails as on a machine', async (t) => {
    await sh('web', 'systemctl -q disable --now ssh 2>/dev/null')
    t.equal(await sh('web', 'systemctl is-enabled ssh; systemctl is-active ssh; true'), 'disabled\ninactive')
    await sh('web', 'systemctl -q enable --now ssh 2>/dev/null')
    const before = await sh('web', 'systemctl show -P MainPID ssh')
    await sh('web', 'systemctl restart ssh')
    t.equal(await sh('web', 'systemctl is-active ssh'), 'active')
    t.not(await sh('web', 'systemctl show -P MainPID ssh'), before)
    t.match(await sh('web', 'journalctl -q -b -u ssh --no-pager | tail -n 3'), /Started ssh.service/)
  })

  await t.test('time zone, locale and hostname are its own, and stay', async (t) => {
    await sh('web', 'timedatectl set-timezone Pacific/Auckland; localectl set-locale LC_COLLATE=POSIX')
    await sh('web', 'hostnamectl set-hostname shop')
    const look = 'hostname; date +%Z; localectl status'
    t.match(await sh('web', look), /^shop\nNZ[DS]T\n.*LC_COLLATE=POSIX/s)
    await sh('web', 'hostnamectl set-hostname web')
  })

  await t.test('of one image: each its own name, ids and keys, a copy too', async (t) => {
    await story.must('launch', 'other', '--image', 'debian')
    t.equal(await booted('other'), 'running')
    await story.must('copy', 'web', 'twin', '--host', 'b')
    t.equal(await booted('twin'), 'running')
    const identity = async (name: string) => ({
      name: await sh(name, 'hostname; cat /etc/hostname; grep 127.0.1.1 /etc/hosts'),
      machine: await sh(name, 'cat /etc/machine-id'),
      address: await sh(name, 'ip -4 -o addr show eth0'),
      resolver: await sh(name, 'cat /etc/resolv.conf'),
      key: await sh(name, 'cat /etc/ssh/ssh_host_ed25519_key.pub'),
    })
    const [web, other, twin] = [await identity('web'), await identity('other'), await identity('twin')]
    for (const [name, { name: found }] of Object.entries({ web, other, twin }))
      t.equal(found, `${name}\n${name}\n127.0.1.1 ${name}`)
    t.equal(new Set([web, other, twin].map(({ machine }) => machine)).size, 3)
    t.equal(new Set([web, other, twin].map(({ address }) => address)).size, 3)
    t.not(web.key, other.key, 'host keys are made at the first boot')
    t.equal(web.resolver, readFileSync('/etc/resolv.conf', 'utf8').trim())
    t.match(
      await sh('twin', 'readlink /etc/localtime'),
      '/usr/share/zoneinfo/Pacific/Auckland',
      'what it was set to goes along',
    )
    await story.must('delete', 'other')
    await story.must('delete', 'twin')
  })

  await t.test('reboot and shutdown -r are reboots, poweroff ends it for good', async (t) => {
    let starts = 1
    for (const command of ['reboot', 'shutdown -r now']) {
      await cli('exec', 'web', '--', 'sh', '-c', command)
      await comesTo('running', ++starts)
      t.equal(await booted('web'), 'running', command)
    }
    t.ok(
      await sh('web', 'for i in $(seq 300); do test -s /root/cron-ran && exit 0; sleep 0.1; done; exit 1').then(
        () => true,
      ),
    )
    await cli('exec', 'web', '--', 'poweroff')
    await comesTo('stopped', starts)
    t.match(await story.container('web'), { desired: 'stopped', message: 'powered off' })
    const events = (await cli('events')).stdout
    t.match(events, /container.rebooted +web/)
  })

  await t.test('a stop is systemd’s own way down, well before its deadline', async (t) => {
    await story.must('start', 'web')
    t.equal(await booted('web'), 'running')
    await story.must('stop', 'web', '--grace', '2m')
    t.match(await story.container('web'), { state: 'stopped', message: 'powered off' })
  })

  await t.test('SysV’s init in place of systemd: boots, and a stop is its runlevel 0', async (t) => {
    await story.must('start', 'web')
    await booted('web')
    const install = 'DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends'
    await sh('web', `${install} sysvinit-core sysv-rc initscripts >/dev/null 2>&1`)
    await story.must('restart', 'web')
    const up =
      'for i in $(seq 300); do runlevel | grep -q 2 && pgrep -x sshd >/dev/null && exit 0; sleep 0.1; done; exit 1'
    await sh('web', up)
    t.equal(await sh('web', 'cat /proc/1/comm; pgrep -c cron'), 'init\n1')
    t.equal(await sh('web', 'ls -d /run/systemd/system 2>/dev/null; true'), '', 'nothing of systemd is pretended')
    const { starts } = await story.container('web')
    await cli('exec', 'web', '--', 'reboot')
    await comesTo('running', starts + 1)
    await sh('web', up)
    await story.must('stop', 'web', '--grace', '2m')
    t.match(await story.container('web'), { state: 'stopped', message: 'powered off' })
  })

  await t.test('stop.signal: another signal than its kind of init would get', async (t) => {
    await story.must('launch', 'asks', '--set', 'stop.signal=SIGTERM')
    await story.must('stop', 'asks')
    // Busybox reboots on SIGTERM, and a reboot while it is to stop is an end.
    t.match(await story.container('asks'), { state: 'stopped', message: /reboot/ })
    await story.must('set', 'asks', 'stop.signal=none')
    await story.must('start', 'asks')
    await story.must('stop', 'asks')
    t.match(await story.container('asks'), { state: 'stopped', message: 'powered off' })
  })
}

/** What a command says over ssh from outside. */
async function ssh(story: Story, name: string, key: string, user: string, command: string): Promise<string> {
  const address = (await story.container(name)).identity.ipv4.split('/')[0]
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes']
  const words = [
    '-F',
    '/dev/null',
    ...options.flatMap((option) => ['-o', option]),
    '-i',
    key,
    `${user}@${address}`,
    command,
  ]
  const [program, ...rest] = [...story.lab.clientPrefix, 'ssh', ...words] as [string, ...string[]]
  const { code, stdout, stderr } = await run(program, rest)
  if (code !== 0) throw new Error(`ssh ${name}: ${stderr}`)
  return stdout.trim()
}

/** The files of a directory by HTTP, to containers; the port. */
async function serve(directory: string): Promise<number> {
  const server = createServer((request, response) => {
    try {
      response.end(readFileSync(join(directory, decodeURIComponent(basename(request.url ?? '')))))
    } catch {
      response.writeHead(404).end()
    }
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}
