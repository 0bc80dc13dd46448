// Images from elsewhere and out again, from the command line to a container that runs: exported, imported, published from a container,
// named, removed from every host.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HostView, Image } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { engineOfStories, type Story, settleDeadlineMs, tell } from '../src/stories.ts'

t.setTimeout(600_000)
const native = engineOfStories === 'native'

await tell(t, async (story: Story) => {
  const directory = temporaryDirectory(t, 'images')
  const at = (name: string) => join(directory, name)
  const image = async (name: string) => (await story.must<Image[]>('image', 'ls')).find((each) => each.name === name)
  const inside = (name: string, script: string) => story.lab.cli(['exec', name, '--', 'sh', '-c', script])

  await t.test('an image is exported, and what was exported is its digest', async (t) => {
    await story.must('image', 'export', 'busybox', at('plain.tar'))
    const { digest } = (await image('busybox'))!
    t.equal(
      `sha256:${createHash('sha256')
        .update(readFileSync(at('plain.tar')))
        .digest('hex')}`,
      digest,
    )
    await story.must('image', 'export', 'busybox', at('packed.tar.gz'))
    execFileSync('gzip', ['-d', at('packed.tar.gz')])
    t.ok(readFileSync(at('packed.tar')).equals(readFileSync(at('plain.tar'))))
    t.notOk(existsSync(at('plain.tar.part')))
  })

  await t.test('an archive is imported on one host, and starts on another', async (t) => {
    writeFileSync(at('extra'), 'an image of its own')
    execFileSync('tar', ['--append', '--file', at('plain.tar'), '--directory', directory, 'extra'])
    await story.must('image', 'import', at('plain.tar'), '--alias', 'mine', '--host', 'a', '-p', 'os=tiny')
    t.match(await image('mine'), { builtOn: 'a', init: ['/sbin/init'], properties: { os: 'tiny' } })
    await story.must('launch', 'one', '--image', 'mine', '--host', 'b')
    t.match(await story.container('one'), { state: 'running', host: 'b', spec: { imageName: 'mine' } })
    if (native) t.match(await inside('one', 'ls /sbin/init'), { stdout: '/sbin/init\n' })
  })

  await t.test('an image is fetched again from where it came; what runs keeps what it was made of', async (t) => {
    const before = (await image('mine'))!.digest
    await story.must('image', 'alias', 'mine', 'kept')
    t.match(await story.must('image', 'refresh', 'mine'), [{ changed: false, digest: before }])
    writeFileSync(at('extra'), 'another one')
    execFileSync('tar', ['--append', '--file', at('plain.tar'), '--directory', directory, 'extra'])
    t.match(await story.must('image', 'refresh', 'mine'), [{ image: 'mine', changed: true }])
    const after = await image('mine')
    t.not(after?.digest, before)
    t.match(after, {
      properties: { os: 'tiny' },
      origin: { kind: 'archive', from: { kind: 'file', path: at('plain.tar') } },
    })
    t.match(await story.container('one'), { state: 'running', starts: 1, spec: { image: before } })
    if (native) t.match(await inside('one', 'cat /extra'), { stdout: 'an image of its own' })
    t.equal((await image('kept'))?.digest, before, 'another name stands for the old one')
    await story.must('image', 'rm', 'mine')
    await story.must('image', 'alias', 'kept', 'mine')
    await story.must('image', 'rm', 'kept')
  })

  await t.test('what is no image is refused by name', async (t) => {
    const { code, stderr } = await story.lab.cli(['image', 'import', import.meta.filename, '--alias', 'text'])
    t.equal(code, 1)
    t.match(stderr, /image text: it is no tar archive/)
    t.equal(await image('text'), undefined)
  })

  await t.test(
    'a container is published, and what was written in it is in the image',
    { skip: !native && 'the simulated engine has no layers' },
    async (t) => {
      await inside(
        'one',
        'echo mark > /srv-mark; chown 7:8 /srv-mark; rm /etc/issue; mkdir /d; rm -r /www; mkdir /www; echo x > /www/new',
      )
      await story.must('publish', 'one', '--alias', 'golden', '-p', 'release=1')
      t.match(await image('golden'), { builtOn: 'b', properties: { release: '1', source: 'one' } })
      await story.must('launch', 'two', '--image', 'golden', '--host', 'a')
      const seen = await inside(
        'two',
        'cat /srv-mark; ls -ln /srv-mark | tr -s " " | cut -d" " -f3,4; ls /www; ls /etc/issue; hostname',
      )
      t.equal(seen.stdout, 'mark\n7 8\nnew\ntwo\n')
      const [one, two] = [await inside('one', 'cat /etc/machine-id'), await inside('two', 'cat /etc/machine-id')]
      t.not(one.stdout, two.stdout, 'a machine id of its own')
    },
  )

  await t.test('names of an image, and its removal from all hosts', async (t) => {
    await story.must('image', 'alias', 'mine', 'other')
    const { digest } = (await image('other'))!
    await story.must('image', 'rm', 'mine')
    t.equal((await image('other'))?.digest, digest, 'its other name stays')
    const refused = await story.lab.cli(['launch', 'three', '--image', 'mine'])
    t.match(refused.stderr, /there is no image mine/)
    await story.must('image', 'rm', 'other')
    t.equal((await story.container('one')).state, 'running', 'containers of it stay')
    const holders = async () =>
      (await story.must<HostView[]>('host', 'ls')).filter(({ images }) => images.includes(digest)).length
    t.ok((await holders()) > 0, 'as long as one is made of it, so does the image')
    await story.must('delete', 'one', '--yes')
    await waitUntil('no host holds it', settleDeadlineMs, async () => (await holders()) === 0, 500)
  })
})
