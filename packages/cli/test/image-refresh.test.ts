// `drover image import URL` and `drover image refresh`, against a cluster in memory and a server that knows what it sent: what is fetched,
// what is not fetched again, what is refused.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Image, ImageOrigin } from '@drover/protocol'
import t, { type Test } from 'tap'
import { type FakeCluster, fakeCluster } from './fake-cluster.ts'
import { operation } from './resources.ts'

/** The cluster in memory reads what it is sent as JSON. */
const archive = '"an archive"'
const sha256 = createHash('sha256').update(archive).digest('hex')
const image = (name: string, origin?: ImageOrigin): Image => ({
  name,
  digest: 'sha256:old',
  sizeBytes: 1,
  init: ['/sbin/init'],
  createdAtMs: 0,
  builtOn: 'a',
  ...(origin === undefined ? {} : { origin }),
})

async function begin(t: Test) {
  const cluster = await fakeCluster(t)
  let digest = 'sha256:new'
  cluster.onWrite = (_method, path) => {
    if (path === '/v1/uploads') return { upload: 'f'.repeat(32), host: 'a' } as never
    const progress = { done: 1, total: 1, message: digest }
    return operation({ state: 'done', kind: 'image-import', progress })
  }
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.headers['if-none-match'])
    if (request.url === '/gone') response.writeHead(404).end()
    else if (request.url === '/moved') response.writeHead(302, { location: '/site.tar.xz' }).end()
    else if (request.url === '/round') response.writeHead(307, { location: '/round' }).end()
    else if (request.url === '/away') response.writeHead(302, { location: 'http://images.example/x' }).end()
    else if (request.headers['if-none-match'] === '"1"') response.writeHead(304).end()
    else response.writeHead(200, { etag: '"1"', 'content-length': archive.length }).end(archive)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/site.tar.xz`
  return { cluster, asked, url, gives: (next: string) => (digest = next) }
}

const imports = ({ writes }: FakeCluster) =>
  writes.filter(([, path]) => path === '/v1/image-imports').map(([, , body]) => body)
const fromUrl = (url: string, etag: string | null): ImageOrigin => ({
  kind: 'archive',
  from: { kind: 'url', url, etag, modified: null },
  sha256,
  init: ['/init'],
  said: { os: 'x' },
})

t.test('import: a URL is fetched, and where it came from is kept', async (t) => {
  const { cluster, url } = await begin(t)
  t.match(await cluster.drover(['image', 'import', url, '-p', 'os=x']), {
    exitCode: 0,
    stdout: /imported image site on a/,
  })
  const origin = { kind: 'url', url, etag: '"1"', modified: null }
  t.match(imports(cluster), [{ name: 'site', sha256, properties: { os: 'x' }, origin }])
})

t.test('import: anything else than what it must be is refused, and so is http from afar', async (t) => {
  const { cluster, url } = await begin(t)
  const wrong = await cluster.drover(['image', 'import', url, '--sha256', '0'.repeat(64)])
  t.match(wrong, { exitCode: 1, stderr: /it has SHA-256 .*, not 0{64}; nothing was changed/ })
  t.match(await cluster.drover(['image', 'import', 'http://images.example/x.tar']), {
    exitCode: 2,
    stderr: /without TLS anybody on the way can change it\nsay what it must be: --sha256/,
  })
  t.match(await cluster.drover(['image', 'import', new URL('/gone', url).href]), {
    exitCode: 1,
    stderr: /the server says 404/,
  })
  t.match(await cluster.drover(['image', 'import', new URL('/away', url).href]), {
    exitCode: 2,
    stderr: /http:\/\/images\.example\/x: without TLS anybody on the way can change it/,
  })
  t.match(await cluster.drover(['image', 'import', new URL('/round', url).href]), {
    exitCode: 1,
    stderr: /it leads on more than 20 times/,
  })
  t.same(imports(cluster), [])
  t.match(await cluster.drover(['image', 'import', new URL('/moved', url).href, '--alias', 'site']), { exitCode: 0 })
  t.equal(imports(cluster).length, 1, 'where the way is safe, it is followed')
})

t.test(
  'refresh: a URL that has nothing newer sends nothing; one that has is imported under the same name',
  async (t) => {
    const { cluster, url, asked } = await begin(t)
    cluster.images = [image('site', fromUrl(url, '"1"'))]
    t.match(await cluster.drover(['image', 'refresh', 'site']), {
      exitCode: 0,
      stdout: 'image site is already up to date\n',
    })
    t.same(asked, ['"1"'])
    t.same(cluster.writes, [], 'nothing was asked of the cluster')
    cluster.images = [image('site', fromUrl(url, '"0"'))]
    const { json, exitCode } = await cluster.drover(['image', 'refresh', 'site', '--json'])
    t.equal(exitCode, 0)
    t.match(json(), [{ image: 'site', changed: true, digest: 'sha256:new' }])
    t.match(imports(cluster), [
      { name: 'site', init: ['/init'], properties: { os: 'x' }, origin: { url, etag: '"1"' } },
    ])
  },
)

t.test('refresh: the same digest again is up to date; files, recipes and containers are made again', async (t) => {
  const { cluster, gives } = await begin(t)
  gives('sha256:old')
  const path = `${t.testdirName}/mine.tar`
  writeFileSync(path, archive)
  const file = { kind: 'file', path, rootfs: null } as const
  cluster.images = [
    image('mine', { kind: 'archive', from: file, sha256, init: null }),
    image('box', { kind: 'recipe', recipe: 'busybox', said: { os: 'x' } }),
    image('golden', { kind: 'container', container: 'web', snapshot: 'good' }),
  ]
  const { stdout } = await cluster.drover(['image', 'refresh', 'mine', 'box', 'golden'])
  t.equal(stdout, ['mine', 'box', 'golden'].map((name) => `image ${name} is already up to date\n`).join(''))
  t.match(
    cluster.writes.filter(([, path]) => !path.includes('uploads')),
    [
      ['POST', '/v1/image-imports', { name: 'mine', sha256, origin: file }],
      ['POST', '/v1/images', { recipe: 'busybox', name: 'box', properties: { os: 'x' } }],
      ['POST', '/v1/containers/web/publish', { image: 'golden', snapshot: 'good' }],
    ],
  )
})

t.test('refresh: one that fails is named, and the others are done; --all leaves out what is only here', async (t) => {
  const { cluster, url } = await begin(t)
  const file: ImageOrigin = {
    ...fromUrl(url, null),
    from: { kind: 'file', path: '/none.tar', rootfs: null },
  } as ImageOrigin
  cluster.images = [
    image('afar', fromUrl('http://images.invalid/a.tar', null)),
    image('bad', fromUrl(new URL('/gone', url).href, null)),
    image('here', file),
    image('old'),
    image('site', fromUrl(url, null)),
  ]
  const all = await cluster.drover(['image', 'refresh', '--all'])
  t.match(all, {
    exitCode: 1,
    stdout: 'image site is sha256:new now\n',
    stderr: /without TLS.*--sha256.*\/gone: the server says 404/s,
  })
  t.match(await cluster.drover(['image', 'refresh', 'old']), {
    exitCode: 1,
    stderr: /it isn’t known where it came from/,
  })
  t.match(await cluster.drover(['image', 'refresh', 'here']), {
    exitCode: 2,
    stderr: /none.tar: there is no such file/,
  })
  t.match(await cluster.drover(['image', 'refresh', 'none']), {
    exitCode: 1,
    stderr: /refresh image none: there is none/,
  })
  t.match(await cluster.drover(['image', 'refresh']), { exitCode: 2, stderr: /which image\?/ })
})
