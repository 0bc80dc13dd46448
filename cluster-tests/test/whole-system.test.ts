// A whole distribution as people know it from machines: Debian as its packages are, unprivileged. Three strands side by side, since a boot
// waits more than it works: one container boots with systemd and is looked at from many sides, a second one of the same image takes
// its first boot from cloud-init, and a copy of the first gets SysV's init from Debian's own package, then OpenRC. Names, ids and keys of the
// three must differ where machines' do. Packages come over the containers' network.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { basename, join } from 'node:path'
import { run, waitUntil } from '@drover/testkit/lab'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { openConsole } from '../src/console-child.ts'
import { makeRepository, makeStoryLayer, storyDirectory } from '../src/debian-layer.ts'
import { engineOfStories, type Story, settleDeadlineMs, tell, whyNot } from '../src/stories.ts'

const install = 'DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends'

async function cannot(): Promise<string | null> {
  if (engineOfStories === 'simulated') return 'simulated containers run no distribution'
  return whyNot() ?? (await makeStoryLayer()) ?? ((await makeRepository()).directory === null ? 'no packages' : null)
}

const skip = await cannot()
if (skip !== null) t.pass('left out', { skip })
else await tell(t, story, { hosts: ['a'], controllers: 1, layersDirectory: storyDirectory })

/** What the strands have in common. */
interface Whole {
  story: Story
  /** For files on this machine. */
  directory: string
  key: string
  /** Of the repository, as containers reach it. */
  mirror: string
  booted: (name: string) => Promise<string>
  comesTo: (name: string, state: string, starts: number) => Promise<void>
  /** By a command inside, which may be ended by what it asks for. */
  end: (name: string, command: string) => Promise<void>
}

async function story(story: Story): Promise<void> {
  const directory = temporaryDirectory(t, 'whole')
  const key = join(directory, 'key')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  const port = await serve((await makeRepository()).directory as string)
  const whole: Whole = {
    story,
    directory,
    key,
    mirror: `http://${story.lab.host('a').address.replace(/\d+$/, '254')}:${port}`,
    // Its bus is there only some time after its start.
    booted: (name) =>
      story.sh(
        name,
        'for i in $(seq 600); do state=$(systemctl is-system-running --wait 2>/dev/null); case $state in "" | offline) sleep 0.1 ;; *) break ;; esac; done; echo $state',
      ),
    end: async (name, command) => void (await story.sh(name, command).catch(() => {})),
    comesTo: async (name, state, starts) => {
      await waitUntil(`${name} to be ${state} after ${starts} starts`, settleDeadlineMs, async () => {
        const container = await story.client.container(name)
        return container.state === state && container.starts === starts && container.operation === null
      })
    },
  }
  await story.must('image', 'build', 'debian')
  const toCopy = mark()
  const copied = mark()
  const seen = new Map<string, Identity>()
  t.jobs = 3
  await Promise.all([
    t.test('systemd', { buffered: true }, (t) => systemd(t, whole, toCopy, copied).finally(toCopy.reach)),
    t.test('cloud-init', { buffered: true }, async (t) => void seen.set('cloud', await cloudInit(t, whole))),
    t.test('other inits', { buffered: true }, async (t) => {
      seen.set('twin', await otherInits(t, whole, toCopy, copied).finally(copied.reach))
    }),
  ])
  await t.test('of one image: each its own ids and keys, a copy too', async (t) => {
    const [cloud, twin] = [seen.get('cloud'), seen.get('twin')]
    const web = (await story.container('web')).identity
    t.equal(new Set([web.machineId, cloud?.machine, twin?.machine]).size, 3)
    t.not(cloud?.address, twin?.address)
    t.notMatch(twin?.address, web.ipv4)
    t.not(cloud?.key, twin?.key, 'host keys are made at the first boot')
  })
}

/** A point that one strand comes to and another waits for. */
interface Mark {
  reached: Promise<void>
  reach: () => void
}

function mark(): Mark {
  let reach = () => {}
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  return { reached, reach }
}

/** What no two machines have in common, as it is inside. */
interface Identity {
  machine: string | undefined
  address: string | undefined
  key: string
}

async function identity(t: Test, story: Story, name: string): Promise<Identity> {
  const look = 'hostname; cat /etc/hostname; grep 127.0.1.1 /etc/hosts; cat /etc/machine-id; ip -4 -o addr show eth0'
  const [called, ofFile, inHosts, machine, address] = (await story.sh(name, look)).split('\n')
  t.same([called, ofFile, inHosts], [name, name, `127.0.1.1 ${name}`])
  return { machine, address, key: await story.sh(name, 'cat /etc/ssh/ssh_host_ed25519_key.pub') }
}

async function systemd(
  t: Test,
  { story, key, mirror, booted, comesTo, end }: Whole,
  toCopy: Mark,
  copied: Mark,
): Promise<void> {
  const sh = (script: string) => story.sh('web', script)
  await story.must('launch', 'web', '--image', 'debian', '--memory', '512MiB')

  await t.test('systemd comes up whole, with no failed unit', async (t) => {
    t.equal(await booted('web'), 'running')
    t.equal(await sh('systemctl --failed --no-legend'), '')
    t.equal(await sh('cat /proc/1/comm; systemctl is-active multi-user.target ssh'), 'systemd\nactive\nactive')
    const { initPid } = await story.container('web')
    t.not(readFileSync(`/proc/${initPid}/uid_map`, 'utf8').trim().split(/\s+/)[1], '0', 'its root is not the host’s')
  })

  await t.test('a client outside logs in by ssh, with a key', async (t) => {
    await story.must('file', 'push', `${key}.pub`, 'web:/root/.ssh/authorized_keys', '--mode', '600')
    t.equal(await ssh(story, 'web', key, 'root', 'hostname; cat /proc/1/comm'), 'web\nsystemd')
  })

  await t.test('apt-get installs from a mirror on the network, and the service runs', async (t) => {
    const line = `deb [trusted=yes] ${mirror} ./`
    await sh(`rm -f /etc/apt/sources.list.d/*; echo '${line}' >/etc/apt/sources.list; apt-get -q update`)
    await sh(`${install} cron >/dev/null`)
    t.equal(await sh('dpkg -s cron | grep ^Status; systemctl is-active cron'), 'Status: install ok installed\nactive')
    await sh("echo '@reboot root date >/root/cron-ran' >/etc/cron.d/test")
  })

  await t.test('time zone, locale and hostname are its own, and stay', async (t) => {
    await sh('timedatectl set-timezone Pacific/Auckland; localectl set-locale LC_COLLATE=POSIX')
    await sh('hostnamectl set-hostname shop')
    t.match(await sh('hostname; date +%Z; localectl status'), /^shop\nNZ[DS]T\n.*LC_COLLATE=POSIX/s)
    await sh('hostnamectl set-hostname web')
  })
  // As it is now, not with a service that is disabled for a moment.
  toCopy.reach()
  await copied.reached

  await t.test('a service is disabled, enabled, restarted and fails as on a machine', async (t) => {
    await sh('systemctl -q disable --now ssh 2>/dev/null')
    t.equal(await sh('systemctl is-enabled ssh; systemctl is-active ssh; true'), 'disabled\ninactive')
    await sh('systemctl -q enable --now ssh 2>/dev/null')
    const before = await sh('systemctl show -P MainPID ssh')
    await sh('systemctl restart ssh')
    t.equal(await sh('systemctl is-active ssh'), 'active')
    t.not(await sh('systemctl show -P MainPID ssh'), before)
    t.match(await sh('journalctl -q -b -u ssh --no-pager | tail -n 3'), /Started ssh.service/)
  })

  await t.test('console of a systemd container: a login, left and found again', async (t) => {
    const one = openConsole(t, story, 'web')
    await one.shows(/root@web:~# /)
    one.type('kept=yes; echo "on $(tty), $((40 + 2))"; who | grep -c ^root\n')
    await one.shows(/on \/dev\/pts\/\d+, 42\r\n[1-9]\r\n/)
    one.type('\x01q')
    t.equal(await one.ends(), 0)
    const again = openConsole(t, story, 'web')
    await again.shows(/on \/dev\/pts\/\d+, 42/)
    again.type('echo "still $kept"\n')
    await again.shows(/still yes\r\n/)
    again.type('\x01q')
    t.equal(await again.ends(), 0)
  })

  await t.test('reboot is one, and poweroff ends it for good', async (t) => {
    await end('web', 'reboot')
    await comesTo('web', 'running', 2)
    t.equal(await booted('web'), 'running')
    await sh('for i in $(seq 600); do test -s /root/cron-ran && exit 0; sleep 0.1; done; exit 1')
    await end('web', 'poweroff')
    await comesTo('web', 'stopped', 2)
    t.match(await story.container('web'), { desired: 'stopped', message: 'powered off' })
    t.match((await story.lab.cli(['events'])).stdout, /container.rebooted +web/)
  })

  await t.test('a stop is systemd’s own way down, well before its deadline', async (t) => {
    await story.must('start', 'web')
    t.equal(await booted('web'), 'running')
    await story.must('stop', 'web', '--grace', '2m')
    t.match(await story.container('web'), { state: 'stopped', message: 'powered off' })
  })
}

async function cloudInit(t: Test, { story, directory, key, booted, comesTo, end }: Whole): Promise<Identity> {
  const data = join(directory, 'told.yaml')
  const publicKey = readFileSync(`${key}.pub`, 'utf8').trim()
  writeFileSync(
    data,
    `#cloud-config
apt: {preserve_sources_list: true}
locale: C.UTF-8
users:
  - {name: ann, shell: /bin/bash, groups: users, ssh_authorized_keys: [${publicKey}]}
write_files:
  - {path: /srv/told, content: as told, permissions: '0640', owner: 'root:users'}
runcmd:
  - echo "$(hostname)" >>/root/ran
`,
  )
  await story.must('launch', 'cloud', '--image', 'debian', '--memory', '512MiB', '--user-data', data)

  await t.test('first boot by cloud-init: user, key, file and command; not again by a reboot', async (t) => {
    t.match(await story.firstBoot('cloud'), { by: 'cloud-init', state: 'done' })
    t.equal(await booted('cloud'), 'running')
    t.equal(await ssh(story, 'cloud', key, 'ann', 'id -nG'), 'ann users')
    t.equal(await story.sh('cloud', 'stat -c "%a %U %G" /srv/told; cat /srv/told'), '640 root users\nas told')
    t.match(await story.sh('cloud', 'cloud-init status --long; cat /root/ran'), /status: done.*NoCloud.*\ncloud$/s)
    await end('cloud', 'shutdown -r now')
    await comesTo('cloud', 'running', 2)
    t.equal(await booted('cloud'), 'running')
    t.equal(await story.sh('cloud', 'cat /root/ran'), 'cloud')
  })
  return await identity(t, story, 'cloud')
}

async function otherInits(
  t: Test,
  { story, directory, booted, comesTo, end }: Whole,
  toCopy: Mark,
  copied: Mark,
): Promise<Identity> {
  const data = join(directory, 'cron.yaml')
  const job = '* * * * * date >>/root/cron-ran'
  writeFileSync(data, `#cloud-config\nwrite_files: [{path: /var/spool/cron/crontabs/root, content: "${job}\\n"}]\n`)
  await story.must('launch', 'tiny', '--user-data', data, '--set', 'stop.signal=SIGTERM')
  await toCopy.reached
  const sh = (script: string) => story.sh('twin', script)
  await story.must('copy', 'web', 'twin')
  copied.reach()

  let own: Identity | undefined
  await t.test('a copy boots as itself, with what was set', async (t) => {
    t.equal(await booted('twin'), 'running')
    own = await identity(t, story, 'twin')
    t.equal(await sh('cat /etc/resolv.conf'), readFileSync('/etc/resolv.conf', 'utf8').trim())
    t.match(await sh('readlink /etc/localtime'), 'Pacific/Auckland', 'what it was set to goes along')
  })

  await t.test('SysV’s init in place of systemd: boots, and a stop is its runlevel 0', async (t) => {
    // Under this init it would search the network for somebody to be told by.
    await sh('dpkg --purge cloud-init >/dev/null 2>&1')
    await sh(`${install} sysvinit-core sysv-rc initscripts >/dev/null 2>&1`)
    await story.must('restart', 'twin')
    const up =
      'for i in $(seq 600); do runlevel | grep -q 2 && pgrep -x sshd >/dev/null && exit 0; sleep 0.1; done; exit 1'
    await sh(up)
    t.equal(await sh('cat /proc/1/comm; pgrep -c cron'), 'init\n1')
    t.equal(await sh('ls -d /run/systemd/system 2>/dev/null; true'), '', 'nothing of systemd is pretended')
    const { starts } = await story.container('twin')
    await end('twin', 'reboot')
    await comesTo('twin', 'running', starts + 1)
    await sh(up)
    await story.must('stop', 'twin', '--grace', '2m')
    t.match(await story.container('twin'), { state: 'stopped', message: 'powered off' })
  })

  await t.test('OpenRC under SysV’s init: its services run, and cron’s job', async (t) => {
    await story.must('start', 'twin')
    await sh(`${install} openrc >/dev/null 2>&1; rm -f /root/cron-ran`)
    await story.must('restart', 'twin', '--grace', '2m')
    await sh(
      'for i in $(seq 600); do rc-service cron status && test -s /root/cron-ran && exit 0; sleep 0.1; done; exit 1',
    )
    t.match(await sh('cat /proc/1/comm; rc-status --all | cat'), /^init\n.*ssh.*started/s)
    await story.must('stop', 'twin', '--grace', '2m')
    t.match(await story.container('twin'), { state: 'stopped', message: 'powered off' })
  })

  await t.test('busybox init: crond runs its job, reboot and poweroff', async (t) => {
    // Within the minute; it was launched well before.
    await waitUntil('crond to run its job', settleDeadlineMs * 2, async () => {
      return (await story.sh('tiny', 'cat /root/cron-ran; true')) !== ''
    })
    await end('tiny', 'reboot')
    await comesTo('tiny', 'running', 2)
    await end('tiny', 'poweroff')
    await comesTo('tiny', 'stopped', 2)
    t.match(await story.container('tiny'), { desired: 'stopped', message: 'powered off' })
    await story.must('start', 'tiny')
  })

  await t.test('stop.signal: another signal than its kind of init would get', async (t) => {
    await story.must('stop', 'tiny')
    // Busybox reboots on SIGTERM, and a reboot while it is to stop is an end.
    t.match(await story.container('tiny'), { state: 'stopped', message: /reboot/ })
    await story.must('set', 'tiny', 'stop.signal=none')
    await story.must('start', 'tiny')
    await story.must('stop', 'tiny')
    t.match(await story.container('tiny'), { state: 'stopped', message: 'powered off' })
  })
  return own as Identity
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
