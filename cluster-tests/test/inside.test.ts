// Inside from outside, from the command line to the files of a container and back: trees, users, processes, figures.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FileEntry, ProcessStatus } from '@drover/protocol'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { engineOfStories, tell } from '../src/stories.ts'

const native = engineOfStories === 'native'
const firstBoot = `#cloud-config
users:
  - {name: ann, groups: ops}
write_files:
  - {path: /etc/motd, content: "hello"}
  - {path: /srv/ours, content: ours, owner: 'ann:ops'}
runcmd:
  - cd /root; echo " from $PWD" >>/etc/motd
  - "false"
  - hostname >>ran
`

await tell(
  t,
  async (story) => {
    const { lab } = story
    await story.must('launch', 'web')
    const directory = temporaryDirectory(t, 'inside')
    const here = (path: string) => join(directory, path)
    const inside = async (...command: string[]) => (await lab.cli(['exec', 'web', '--', ...command])).stdout

    await t.test('a tree goes in and comes out the same', async (t) => {
      mkdirSync(here('site/img'), { recursive: true })
      const big = Buffer.alloc((1 << 20) + 11, 'abc')
      writeFileSync(here('site/big'), big)
      writeFileSync(here('site/img/small'), 'small\n', { mode: 0o640 })
      symlinkSync('img/small', here('site/link'))
      const pushed = await story.must('file', 'push', '-r', here('site'), 'web:/root')
      t.same(pushed, { files: 2, bytes: big.length + 6 })
      t.equal(await inside('cat', '/root/site/img/small'), 'small\n')
      await story.must('file', 'pull', '-r', 'web:/root/site', here('back'))
      t.ok(readFileSync(here('back/big')).equals(big))
      t.equal(execFileSync('diff', ['-r', here('site'), here('back')], { encoding: 'utf8' }), '')
    })

    await t.test('owners are those that the container sees', { skip: !native }, async (t) => {
      writeFileSync(here('owned'), 'x')
      await story.must('file', 'push', here('owned'), 'web:/tmp/owned', '--user', '33:34', '--mode', '600')
      t.match(await inside('ls', '-n', '/tmp/owned'), /^-rw------- +1 33 +34 /)
      t.match(await story.must<FileEntry[]>('file', 'ls', 'web:/tmp/owned'), [{ uid: 33, gid: 34, mode: 0o600 }])
    })

    await t.test('what is missing is named with its code', async (t) => {
      const outcome = await lab.cli(['file', 'pull', 'web:/no/such', '-', '--json'])
      t.not(outcome.code, 0)
      const missing = await lab.cli(['file', 'ls', 'web:/no/such', '--json'])
      t.match(JSON.parse(missing.stdout), { error: { code: 'FILE_NOT_FOUND' } })
      const unknown = await lab.cli(['file', 'ls', 'nobody:/', '--json'])
      t.match(JSON.parse(unknown.stdout), { error: { code: 'CONTAINER_NOT_FOUND' } })
    })

    await t.test('a command runs as a user by name', { skip: !native }, async (t) => {
      t.equal((await lab.cli(['exec', 'web', '-u', 'root', '--', 'id', '-u'])).stdout, '0\n')
      const outcome = await lab.cli(['exec', 'web', '-u', 'nobody-there', '--', 'id'])
      t.match(outcome, { code: 1, stderr: /no user `nobody-there`/ })
    })

    await t.test('processes and file systems of a frozen container', async (t) => {
      await story.must('freeze', 'web')
      t.ok((await story.must<ProcessStatus[]>('ps', 'web')).some(({ pid }) => pid === 1))
      t.match(await story.must('df', 'web'), [{ container: 'web', path: '/' }])
      t.match(await story.must('top', '--rounds', '1', '--interval', '10ms'), [{ name: 'web' }])
    })

    await t.test(
      'first boot without cloud-init: users, files, commands; once, and again in a copy',
      { skip: !native },
      async (t) => {
        writeFileSync(here('told.yaml'), firstBoot)
        await story.must('launch', 'told', '--user-data', here('told.yaml'))
        const look = (name: string) => story.sh(name, 'su ann -c id; cat /etc/motd /root/ran; ls -ln /srv')
        t.match(await story.firstBoot('told'), { state: 'failed', message: 'runcmd[1] ended with 1' })
        t.match(
          await look('told'),
          /^uid=1000\(ann\) gid=1000\(ann\).*1001\(ops\)\nhello from \/root\ntold\n.*-rw-r--r-- +1 1000 +1001 .* ours$/s,
        )
        t.match(
          (await lab.cli(['info', 'told'])).stdout,
          /first boot +failed: runcmd\[1\] ended with 1 .*drover-first-boot.log/,
        )
        t.match(
          (await lab.cli(['events'])).stdout,
          /container.first-boot-failed +the first boot of told on a has failed/,
        )
        await story.must('restart', 'told')
        await story.must('copy', 'told', 'second')
        await story.firstBoot('second')
        t.match(await look('second'), /\ntold\nsecond\n/, 'not once more by a start, but of the copy')
        const table: [string, RegExp][] = [
          ['ntp: {enabled: true}', /ntp: is not carried out without cloud-init/],
          ['users: [', /user-data: .*line 3/],
          ['users: [{name: 7}]', /users\[0\]\.name: must be a name/],
          ['hostname: other', /hostname: must be the container’s name refused/],
        ]
        for (const [text, message] of table) {
          writeFileSync(here('bad.yaml'), `#cloud-config\n${text}\n`)
          const { code, stderr } = await lab.cli(['launch', 'refused', '--user-data', here('bad.yaml')])
          t.equal(code, 1)
          t.match(stderr, message)
        }
        for (const name of ['told', 'second']) await story.must('delete', name)
      },
    )

    await t.test('files of a stopped container', async (t) => {
      await story.must('thaw', 'web')
      await story.must('stop', 'web', '--timeout', '30s')
      writeFileSync(here('late'), 'written while stopped')
      await story.must('file', 'push', here('late'), 'web:/root/late')
      await story.must('start', 'web')
      t.equal(await inside('cat', '/root/late'), 'written while stopped')
    })
  },
  { hosts: ['a'], controllers: 1 },
)
