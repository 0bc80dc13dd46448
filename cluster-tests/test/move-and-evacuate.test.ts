// The main story, through the command line: containers are packed, one moves live under traffic, a host is emptied.

import type { Container, HostView, Operation } from '@drover/protocol'
import t from 'tap'
import { tell } from '../src/stories.ts'
import { Witness } from '../src/witness.ts'

await tell(t, async (story) => {
  const names = Array.from({ length: 12 }, (_, index) => `web-${index + 1}`)

  await t.test('launch: containers are packed onto the fullest host that fits, and explain says why', async (t) => {
    await story.must('launch', 'web', '--count', '12')
    t.strictSame(await story.everyOneRunsOnce(names), [])
    const containers = await story.must<Container[]>('ls')
    t.equal(new Set(containers.map(({ host }) => host)).size, 1, 'they fit one host, so they share it')
    t.equal(new Set(containers.map(({ identity }) => identity.ipv4)).size, 12, 'each has an address of its own')
    t.equal(new Set(containers.map(({ identity }) => identity.uidBase)).size, 12, 'and a uid range of its own')
    const explained = await story.lab.cli(['explain', 'web-1'])
    t.equal(explained.code, 0)
    for (const host of story.lab.hosts) t.match(explained.stdout, new RegExp(`\\b${host.name}\\b`))
  })

  await t.test('exec: input, output and exit code pass through', async (t) => {
    const echoed = await story.lab.cli(['exec', 'web-1', '--', 'sh', '-c', 'cat; echo oops >&2; exit 7'], {
      input: 'hello',
    })
    t.match(echoed, { code: 7, stdout: 'hello', stderr: /oops/ })
  })

  await t.test('move: there and back under traffic, nothing inside notices', async (t) => {
    const before = await story.container('web-1')
    const witness = await Witness.of(story.lab, before)
    t.teardown(() => witness.close())
    for (const host of [story.otherHost(before), before.host]) {
      const moved = await story.must<Operation>('move', 'web-1', host)
      t.equal(moved.state, 'done')
      t.equal(moved.migration?.phase, 'done')
    }
    const after = await story.container('web-1')
    t.equal(after.host, before.host)
    t.equal(after.epoch, before.epoch + 2, 'the right to run it changed hands twice')
    t.strictSame(after.identity, before.identity, 'same address, MAC and uids')
    const verdict = await witness.verdict(after)
    t.ok(verdict.unbroken, verdict.detail)
    t.ok((verdict.blackoutMs ?? 0) > 0, `a blackout was measured: ${verdict.blackoutMs} ms`)
    t.strictSame(await story.everyOneRunsOnce(names), [])
  })

  await t.test('move: a connection over IPv6 goes on too', async (t) => {
    const before = await story.container('web-1')
    if (story.lab.engine === 'simulated') {
      t.pass('left out', { skip: 'simulated containers have no network' })
      return
    }
    t.match(before.identity.ipv6, /^fd64:0:[0-9a-f]+::1:0:1\/64$/)
    const pulse = await story.lab.pulse(before.identity.ipv6 as string)
    t.teardown(() => pulse.close())
    await pulse.reportAfter(3)
    await story.must('move', 'web-1')
    const report = await pulse.reportAfter(10)
    t.ok(report.unbroken, report.lost ?? `${report.skipped} ticks are missing`)
    t.equal(report.pids.length, 1, 'the same process')
    await story.must('move', 'web-1', before.host)
  })

  await t.test('move: back to where it was, only what has changed since is sent', async (t) => {
    if (story.lab.engine === 'simulated') {
      t.pass('left out', { skip: 'simulated containers have no programs' })
      return
    }
    const inside = async (script: string) => {
      const ran = await story.lab.cli(['exec', 'web-3', '--', 'sh', '-ec', script])
      t.equal(ran.code, 0, ran.stderr)
      return ran.stdout
    }
    const { host } = await story.container('web-3')
    await inside(
      'mkdir -p /srv/many/d && dd if=/dev/urandom of=/srv/large bs=1M count=48 && dd if=/dev/urandom of=/srv/many/whole bs=1M count=16',
    )
    await inside(
      'cd /srv/many && echo 1 > d/f && ln d/f d/g && ln -s f d/s && mkfifo d/p && truncate -s 9M d/holes && rm -f /etc/motd',
    )
    const away = await story.must<Operation>('move', 'web-3', story.otherHost(await story.container('web-3')))
    t.ok((away.migration?.figures.sent_bytes ?? 0) > 64 << 20, 'all of it, the first time')
    const shown = await story.must<HostView>('host', 'show', host)
    t.ok((shown.leftovers?.bytes ?? 0) >= 64 << 20, 'the host keeps what it left')
    await inside(
      'dd if=/dev/urandom of=/srv/large bs=1M count=1 seek=20 conv=notrunc && echo 2 >> /srv/many/d/f && rm /srv/many/d/s',
    )
    const all = 'cd /srv && find . -exec ls -dln --full-time {} + && find . -type f -exec md5sum {} +'
    const before = await inside(all)
    const back = await story.must<Operation>('move', 'web-3', host)
    t.equal(await inside(all), before, 'it is as it was')
    const { sent_bytes: sent = 0, reused_bytes: reused = 0 } = back.migration?.figures ?? {}
    t.comment(`${sent} bytes were sent, ${reused} were there`)
    t.ok(sent > 1 << 20 && sent < 8 << 20, `${sent} bytes were sent`)
    t.ok(reused >= 62 << 20, `${reused} bytes were there`)
  })

  await t.test('move: what was written inside comes along', async (t) => {
    const script =
      'mkdir -p /srv/d && echo kept > /srv/d/f && ln /srv/d/f /srv/d/g && ln -s f /srv/d/s && rm -f /etc/motd'
    t.equal((await story.lab.cli(['exec', 'web-2', '--', 'sh', '-c', script])).code, 0)
    const { host } = await story.container('web-2')
    await story.must('move', 'web-2')
    t.not((await story.container('web-2')).host, host, 'the scheduler chose another host')
    const read = await story.lab.cli([
      'exec',
      'web-2',
      '--',
      'sh',
      '-c',
      'cat /srv/d/f /srv/d/g /srv/d/s; ls /etc/motd',
    ])
    t.equal(read.stdout, 'kept\nkept\nkept\n')
    t.not(read.code, 0, 'what was deleted stays deleted')
  })

  await t.test('stop, start, freeze, thaw and delete do what they say', async (t) => {
    await story.must('stop', 'web-12')
    t.equal((await story.container('web-12')).state, 'stopped')
    await story.must('start', 'web-12')
    t.match(await story.container('web-12'), { state: 'running', starts: 2 })
    await story.must('freeze', 'web-12')
    t.equal((await story.container('web-12')).state, 'frozen')
    await story.must('thaw', 'web-12')
    t.strictSame(await story.everyOneRunsOnce(names), [])
    const { id } = await story.container('web-12')
    await story.must('delete', 'web-12')
    names.pop()
    t.strictSame(await story.everyOneRunsOnce(names), [])
    for (const host of story.lab.hosts) t.strictSame(story.lab.processesOf(host.name, id), [])
  })

  await t.test(
    'evacuate: the host is emptied, none lost, none restarted; restore takes containers again',
    async (t) => {
      const before = await story.must<Container[]>('ls')
      const host = before.find(({ name }) => name === 'web-1')?.host as string
      const leaving = before.filter((container) => container.host === host)
      t.ok(leaving.length >= 9, `${leaving.length} containers are on ${host}`)
      const witnesses: Witness[] = []
      for (const container of leaving) witnesses.push(await Witness.of(story.lab, container))
      const evacuated = await story.lab.cli(['host', 'evacuate', host])
      t.equal(evacuated.code, 0, evacuated.stderr || evacuated.stdout)
      const after = await story.must<Container[]>('ls')
      t.strictSame(
        after.filter((container) => container.host === host),
        [],
      )
      for (const witness of witnesses) {
        const container = after.find(({ name }) => name === witness.name) as Container
        const verdict = await witness.verdict(container)
        t.ok(verdict.unbroken, `${witness.name}: ${verdict.detail}`)
        witness.close()
      }
      t.strictSame(await story.everyOneRunsOnce(names), [])

      const cordoned = (await story.must<HostView[]>('host', 'ls')).find(({ name }) => name === host)
      t.equal(cordoned?.status, 'cordoned')
      const refused = await story.lab.cli(['launch', 'here', '--host', host])
      t.equal(refused.code, 1, 'an emptied host takes nothing')
      await story.must('host', 'restore', host)
      await story.must('launch', 'here', '--host', host)
      t.equal((await story.container('here')).host, host)
    },
  )
})
