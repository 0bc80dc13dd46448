// Builds the busybox image for real: twice the same, and with what a system needs in it.

import { existsSync, lstatSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { aptSource } from '../src/images/apt-source.ts'
import { ImageStore } from '../src/images/image-store.ts'
import { buildImage } from '../src/images/image-tasks.ts'
import { packLayer } from '../src/images/layer.ts'

const pulse = fileURLToPath(new URL('../../../native/image-tools/build/pulse', import.meta.url))
const missing = [pulse, '/bin/busybox'].filter((path) => !existsSync(path))
const skip = missing.length > 0 && `${missing.join(' and ')} missing (deploy/bootstrap makes them)`

t.test('image build: busybox gives the same digest wherever and whenever it is built', { skip }, async (t) => {
  const directory = t.testdir({ a: {}, b: {} })
  const messages: string[] = []
  const stores = [new ImageStore(join(directory, 'a')), new ImageStore(join(directory, 'b'))] as const
  const first = await buildImage(stores[0], 'busybox', 'busybox', (message) => messages.push(message))
  const second = await buildImage(stores[1], 'busybox', 'other-name', () => {})
  t.equal(first.digest, second.digest)
  t.match(first, { name: 'busybox', init: ['/sbin/init'] })
  t.ok(first.sizeBytes > 1_000_000 && first.sizeBytes < 20_000_000, `${first.sizeBytes} bytes`)
  t.ok(messages.length > 0, 'it says what it does')

  const rootfs = stores[0].rootfs(first.digest)
  const look = (path: string): Stats => lstatSync(join(rootfs, path))
  for (const applet of ['sbin/init', 'bin/sh', 'usr/sbin/httpd', 'sbin/syslogd', 'usr/sbin/crond', 'sbin/poweroff']) {
    t.equal(readlinkSync(join(rootfs, applet)), '/bin/busybox', applet)
  }
  t.equal(look('usr/bin/pulse').mode & 0o7777, 0o755)
  t.equal(look('tmp').mode & 0o7777, 0o1777)
  t.equal(look('root').mode & 0o7777, 0o700)
  const inittab = readFileSync(join(rootfs, 'etc/inittab'), 'utf8')
  for (const service of ['syslogd', 'crond', 'httpd', 'pulse']) t.match(inittab, `respawn:`, service)
  t.notMatch(inittab, 'mount', 'it mounts nothing')
  await buildImage(stores[0], 'busybox', 'busybox', () => {})
  t.same(stores[0].digests(), [first.digest], 'building it again adds nothing')
})

t.test('image build: a ready-made layer of that name is taken, and gives an image of its own', async (t) => {
  const directory = t.testdir({ made: { etc: { 'os-release': 'ID=made' } }, layers: {}, store: {} })
  const layers = join(directory, 'layers')
  await packLayer(join(directory, 'made'), join(layers, 'mine.tar'), 'root')
  const store = new ImageStore(join(directory, 'store'))
  const build = (name: string) => buildImage(store, 'busybox', name, () => {}, new AbortController().signal, layers)
  const image = await build('mine')
  t.match(image, { name: 'mine', init: ['/sbin/init'] })
  t.equal(readFileSync(join(store.rootfs(image.digest), 'etc/os-release'), 'utf8'), 'ID=made')
  if (!skip) t.not((await build('other')).digest, image.digest, 'another name is built by the recipe')
})

t.test('image build: an unknown recipe is refused by name', async (t) => {
  const store = new ImageStore(t.testdir())
  await t.rejects(
    buildImage(store, 'windows', 'windows', () => {}),
    { code: 'BAD_REQUEST', message: /windows.*busybox, debian/ },
  )
})

t.test('image build: the Debian mirror is the one that apt uses', async (t) => {
  const deb822 =
    'Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: /k.gpg\n'
  const directory = t.testdir({
    one: {
      'sources.list':
        '# deb http://no.example/debian x main\ndeb [signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n',
    },
    two: {
      'sources.list.d': { 'other.list': 'deb https://tools.example/apt stable main\n', 'debian.sources': deb822 },
    },
    none: {},
  })
  t.same(aptSource(join(directory, 'one')), {
    suite: 'bookworm',
    line: 'deb [signed-by=/k.gpg] http://mirror.example/debian bookworm main',
  })
  t.same(aptSource(join(directory, 'two')), {
    suite: 'trixie',
    line: 'deb [signed-by=/k.gpg] http://mirror.example/debian trixie main',
  })
  t.throws(() => aptSource(join(directory, 'none')), { code: 'ENGINE_FAILED' })
})
