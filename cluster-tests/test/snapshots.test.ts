// Snapshots from the command line to the file system and back: a tree put back to the byte, processes that go on from where they were,
// copies with an identity of their own, and all of it along with a move.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import t from 'tap'
import { engineOfStories, type Story, tell } from '../src/stories.ts'

interface Listed {
  container: string
  name: string
  sizeBytes: number
}

// A dozen operations on a machine that may be busy.
t.setTimeout(600_000)
const native = engineOfStories === 'native'
/** A checksum over names, kinds, owners, modes and contents below /srv, as the container sees them. */
const treeSum =
  'cd /srv && (find . | sort | xargs ls -dln | sed "s/  */ /g" | cut -d" " -f1-4,9-; find . -type f | sort | xargs cat) | md5sum'

async function inside(story: Story, name: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await story.lab.cli(['exec', name, '--', 'sh', '-c', script])
  if (code !== 0) throw new DroverError('INTERNAL', `${script} in ${name}: ${code} ${stderr}`)
  return stdout.trim()
}
const snapshots = async (story: Story, name: string) =>
  (await story.must<Listed[]>('snapshot', 'ls', name)).map((each) => each.name)

await tell(
  t,
  async (story) => {
    const { lab } = story
    await story.must('launch', 'web', '--host', 'a')
    const sum = (name = 'web') => inside(story, name, native ? treeSum : 'cat /srv/file')
    const mess = native
      ? 'mkdir -p /srv/d && echo one > /srv/file && ln /srv/file /srv/d/two && mkfifo /srv/p && chown 7:8 /srv/d && chmod 2750 /srv/d && rm -rf /etc/motd'
      : 'echo one > /srv/file'
    await inside(story, 'web', mess)
    const before = await sum()

    await t.test('a snapshot of a running container, put back', async (t) => {
      await story.must('snapshot', 'create', 'web', 'first', '--expires', '7d')
      await inside(
        story,
        'web',
        native ? 'rm -r /srv/d; echo two > /srv/file; echo x > /srv/x' : 'echo two > /srv/file',
      )
      t.not(await sum(), before)
      const refused = await lab.cli(['snapshot', 'restore', 'web', 'first'])
      t.equal(refused.code, 1)
      t.match(refused.stderr, /it is running; stop it first, or ask for a restart with --start/)
      await story.must('snapshot', 'restore', 'web', 'first', '--start')
      t.equal(await sum(), before)
      t.match(await story.container('web'), { state: 'running', starts: 2, operation: null })
    })

    await t.test('with memory: its processes go on from where they were', async (t) => {
      // A word that only a process's memory holds: USR1 changes it, USR2 has it written down.
      const keeper = `word=then; trap "word=now" USR1; trap 'echo $word > /tmp/word' USR2; while :; do sleep 0.1; done`
      const told = async () => {
        await inside(
          story,
          'web',
          'rm -f /tmp/word; kill -USR2 $(cat /tmp/keeper); until [ -s /tmp/word ]; do sleep 0.1; done',
        )
        return inside(story, 'web', 'cat /tmp/word')
      }
      if (native) {
        await inside(story, 'web', `cat > /tmp/keep <<'END'\n${keeper}\nEND\n`)
        await inside(story, 'web', 'setsid sh /tmp/keep </dev/null >/dev/null 2>&1 & echo $! > /tmp/keeper')
        t.equal(await told(), 'then')
      }
      await story.must('snapshot', 'create', 'web', 'warm', '--memory')
      await inside(story, 'web', 'echo three > /srv/file')
      if (native) {
        await inside(story, 'web', 'kill -USR1 $(cat /tmp/keeper)')
        t.equal(await told(), 'now', 'it ran on')
      }
      const { starts } = await story.container('web')
      await story.must('snapshot', 'restore', 'web', 'warm', '--start')
      t.equal(await sum(), before)
      t.match(await story.container('web'), { state: 'running', starts, initPid: Number }, 'it was not started again')
      if (native) t.equal(await told(), 'then')
    })

    await t.test('a copy on another host, of a snapshot and of the running one', async (t) => {
      await inside(story, 'web', 'echo four > /srv/file')
      await story.must('copy', 'web/first', 'was', '--host', 'b')
      t.equal(await sum('was'), before)
      const [web, was] = [await story.container('web'), await story.container('was')]
      t.match(was, { state: 'running', host: 'b' })
      t.not(was.identity.machineId, web.identity.machineId)
      if (native) {
        t.equal(await inside(story, 'was', 'hostname; cat /etc/hostname'), 'was\nwas')
        t.equal(await inside(story, 'was', 'cat /etc/machine-id'), was.identity.machineId)
        t.match(
          await inside(story, 'was', 'ip -4 addr show eth0'),
          new RegExp(was.identity.ipv4.split('/')[0] as string),
        )
      }
      await story.must('copy', 'web', 'now', '--host', 'a', '--no-start')
      t.match(await story.container('now'), { state: 'stopped', operation: null })
      await story.must('start', 'now')
      t.equal(await inside(story, 'now', 'cat /srv/file'), 'four')
      await story.must('delete', 'now')
    })

    await t.test('a copy on another host is brought up to date', async (t) => {
      const { identity } = await story.container('was')
      await inside(story, 'was', 'echo own > /srv/own')
      const refused = await lab.cli(['copy', 'web', 'was', '--refresh'])
      t.match(refused, { code: 1, stderr: /was is running, not stopped; first: drover stop was/ })
      await story.must('stop', 'was', '--force')
      await story.must('copy', 'web', 'was', '--refresh')
      t.match(await story.container('was'), { state: 'stopped', host: 'b', identity, operation: null })
      await story.must('start', 'was')
      t.equal(await inside(story, 'was', 'cat /srv/file; ls /srv/own 2>/dev/null || echo gone'), 'four\ngone')
      if (native) t.equal(await inside(story, 'was', 'hostname; cat /etc/machine-id'), `was\n${identity.machineId}`)
      await story.must('delete', 'was')
    })

    await t.test('exported into a file, imported with all that was in it, rebuilt without', async (t) => {
      const directory = t.testdir({})
      const file = join(directory, 'web.tar.gz')
      await story.must('set', 'web', 'pids=300')
      if (native) await inside(story, 'web', 'busybox setfattr -n user.mark -v here /srv/file 2>/dev/null; true')
      const exported = await sum()
      const { starts } = await story.container('web')
      t.match(await story.must('export', 'web', file), { container: 'web', file, bytes: Number })
      t.match(await story.container('web'), { state: 'running', starts, operation: null })
      const named = execFileSync('tar', ['-tf', file], { encoding: 'utf8' })
      t.equal(named, 'drover.json\nimage.tar\ndisk.tar\nSHA256SUMS\n')
      t.match((await lab.cli(['import', file])).stderr, /a container of that name exists/)
      await story.must('import', file, 'back', '--host', 'b', '--no-start')
      t.match(await story.container('back'), { state: 'stopped', host: 'b', spec: { limits: { pids: 300 } } })
      await story.must('start', 'back')
      t.equal(await sum('back'), exported)
      if (native)
        t.match(await inside(story, 'back', 'hostname; ls /etc/motd 2>&1; true'), /^back\n.*No such file/, 'whiteouts')
      t.not((await story.container('back')).identity.machineId, (await story.container('web')).identity.machineId)
      const { identity } = await story.container('back')
      t.match((await lab.cli(['rebuild', 'back'])).stderr, /it is running; stop it first, or end it with --force/)
      await story.must('rebuild', 'back', '--force')
      t.match(await story.container('back'), { state: 'running', identity, starts: 1, spec: { limits: { pids: 300 } } })
      t.not((await lab.cli(['exec', 'back', '--', 'cat', '/srv/file'])).code, 0, 'a fresh disk')
      await story.must('delete', 'back')
      t.notOk(existsSync(`${file}.part`))
    })

    await t.test('snapshots go along with a live move and can be put back there', async (t) => {
      await story.must('move', 'web', 'b')
      t.not(await sum(), before)
      await story.must('snapshot', 'restore', 'web', 'first', '--start')
      t.equal(await sum(), before)
      t.match(await story.container('web'), { host: 'b', state: 'running' })
      await story.must('snapshot', 'restore', 'web', 'warm', '--start')
      t.equal(await sum(), before)
    })

    t.strictSame(await story.everyOneRunsOnce(['web']), [])
    await t.test('deleted with their container', async (t) => {
      t.same(await snapshots(story, 'web'), ['first', 'warm'])
      await story.must('snapshot', 'delete', 'web', 'warm')
      t.same(await snapshots(story, 'web'), ['first'])
      await story.must('delete', 'web')
    })
  },
  { hosts: ['a', 'b'], controllers: 1 },
)
