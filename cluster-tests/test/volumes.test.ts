// A volume's life over three hosts: made, given to a container, moved live with it under way, taken away, given to another one, and there when
// all of them are deleted.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { VolumeView } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOfStories, settleDeadlineMs, tell } from '../src/stories.ts'

t.setTimeout(600_000)

await tell(
  t,
  async (story) => {
    const { lab } = story
    // Nothing is mounted in simulated containers.
    if (engineOfStories === 'simulated') return
    const info = () => story.must<VolumeView>('volume', 'info', 'data')
    const directories = (host: string) => {
      const at = join(lab.host(host).directory, 'agent', 'data', 'volumes')
      return existsSync(at) ? readdirSync(at).filter((name) => name.startsWith('v')) : []
    }
    const onlyOn = (host: string | null) =>
      waitUntil(`one directory of it, on ${host}`, settleDeadlineMs, async () =>
        lab.hosts.every(({ name }) => directories(name).length === (name === host ? 1 : 0)),
      )
    await story.must('launch', 'web', '--host', 'a')
    await story.must('launch', 'db', '--host', 'b')

    await t.test('made, given to a container that runs, and to no second one', async (t) => {
      await story.must('volume', 'create', 'data')
      t.match(await info(), { host: null, container: null })
      await story.must('volume', 'attach', 'data', 'web', '/srv/data')
      await story.sh(
        'web',
        'cd /srv/data; echo kept > file; chmod 2750 .; mkdir d; echo x > d/other; chown -R 7:8 d; ln file two; ln -s file link',
      )
      t.match(await info(), { host: 'a', container: 'web', path: '/srv/data', made: true })
      t.match(await lab.cli(['volume', 'attach', 'data', 'db', '/data']), { code: 1, stderr: /web has it/ })
      t.match(await lab.cli(['volume', 'delete', 'data']), { code: 1, stderr: /web has it/ })
    })

    const seen =
      'cat /srv/data/file; stat -c "%a %u:%g %h" /srv/data /srv/data/file /srv/data/d/other; readlink /srv/data/link'
    const before = await story.sh('web', seen)

    await t.test('a live move takes it along while it is written to', async (t) => {
      await story.sh(
        'web',
        'setsid sh -c "exec 3>> /srv/data/log; i=0; while :; do i=\\$((i + 1)); echo \\$i >&3; usleep 20000; done" >/dev/null 2>&1 </dev/null &',
      )
      const { starts } = await story.container('web')
      for (const host of ['b', 'c']) {
        await story.must('move', 'web', host)
        t.match(await story.container('web'), { host, starts, state: 'running' })
        t.match(await info(), { host, container: 'web' })
        t.equal(await story.sh('web', seen), before)
        const count = await story.sh('web', 'wc -l < /srv/data/log')
        await story.sh('web', `until [ $(wc -l < /srv/data/log) -gt ${count} ]; do usleep 10000; done`)
        await onlyOn(host)
      }
      const lines = (await story.sh('web', 'cat /srv/data/log')).split('\n')
      t.equal(
        lines.findIndex((line, at) => line !== String(at + 1)),
        -1,
        `${lines.length} lines, none lost or twice`,
      )
    })

    await t.test('while something in there uses it, it isn’t taken away', async (t) => {
      t.match(await lab.cli(['volume', 'detach', 'data']), {
        code: 1,
        stderr: /\/srv\/data is in use in the container/,
      })
      t.match(await info(), { container: 'web' })
      t.equal(await story.sh('web', seen), before, 'as before')
    })

    await t.test('restarted, cold and frozen it is there again', async (t) => {
      await story.must('restart', 'web')
      t.equal(await story.sh('web', seen), before)
      await story.must('move', 'web', 'a', '--cold')
      t.equal(await story.sh('web', seen), before)
      await onlyOn('a')
    })

    await t.test('a copy has none of it; a snapshot that is put back leaves it as it is', async (t) => {
      await story.must('snapshot', 'create', 'web', 'first')
      await story.sh('web', 'echo later > /srv/data/later')
      await story.must('snapshot', 'restore', 'web', 'first', '--start')
      t.equal(await story.sh('web', 'cat /srv/data/later'), 'later')
      await story.must('copy', 'web/first', 'twin')
      t.equal(await story.sh('twin', 'ls -A /srv/data'), '', 'the directory that it was mounted on')
      t.same((await story.container('twin')).spec.devices, {})
      await story.must('delete', 'twin')
    })

    await t.test('taken away, and given to another container with the same owners in it', async (t) => {
      await story.must('volume', 'detach', 'data')
      t.match(await info(), { host: 'a', container: null })
      t.equal(await story.sh('web', 'ls -A /srv/data'), '')
      t.match(await lab.cli(['volume', 'attach', 'data', 'db', '/data']), {
        code: 1,
        stderr: /it is on a, db on b; drover move db a first/,
      })
      await story.must('move', 'db', 'a')
      await story.must('volume', 'attach', 'data', 'db', '/srv/data')
      t.equal(await story.sh('db', seen), before)
      t.not((await story.container('db')).identity.uidBase, (await story.container('web')).identity.uidBase)
    })

    await t.test('evacuating its host takes both along', async (t) => {
      await story.must('host', 'evacuate', 'a')
      const { host } = await story.container('db')
      t.not(host, 'a')
      t.match(await info(), { host, container: 'db' })
      t.equal(await story.sh('db', seen), before)
      await story.must('host', 'restore', 'a')
    })

    t.strictSame(await story.everyOneRunsOnce(['web', 'db']), [])
    await t.test('when the containers are deleted it is still there; deleted, its directory goes', async (t) => {
      const { host } = await story.container('db')
      await story.must('delete', 'web')
      await story.must('delete', 'db')
      t.match(await info(), { host, container: null })
      await onlyOn(host)
      await story.must('launch', 'last', '--host', host)
      await story.must('volume', 'attach', 'data', 'last', '/srv/data')
      t.equal(await story.sh('last', seen), before)
      await story.must('delete', 'last')
      await story.must('volume', 'delete', 'data')
      t.same(await story.must('volume', 'ls'), [])
      await onlyOn(null)
    })
  },
  { hosts: ['a', 'b', 'c'], controllers: 1 },
)
