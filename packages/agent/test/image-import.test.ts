// Archives from elsewhere as images: every form that is taken, and everything that is refused or left out of one.

import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { ImageStore } from '../src/images/image-store.ts'
import { importImage, splitNames } from '../src/images/import-image.ts'
import { TarGuard } from '../src/images/tar-guard.ts'
import { type Given, tarEntry, writeTar } from './tar-entries.ts'

const root = process.getuid?.() === 0
const sh = (script: string, cwd: string) =>
  execFileSync('sh', ['-ec', script], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
const sha256 = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')
const lacks = (program: string) => (spawnSync(program, ['--version']).error ? `${program} is not installed` : false)

function place(test: Test) {
  // Not below the repository: what takes foreign bytes apart runs as nobody.
  const directory = temporaryDirectory(test, 'import')
  const store = new ImageStore(join(directory, 'store'))
  const take = async (path: string, init: string[] | null = null) => {
    const made = await importImage(store, { path, name: 'mine', init }, () => {}, new AbortController().signal)
    return { ...made, rootfs: store.rootfs(made.digest), layer: store.layer(made.digest) }
  }
  const nothingLeft = () => readdirSync(join(directory, 'store/images')).filter((name) => name.startsWith('staging-'))
  return { directory, store, take, nothingLeft, at: (name: string) => join(directory, name) }
}

/** A small system with what a copy may lose: modes, links, times, a capability. */
function makeTree(tree: string): void {
  sh(
    `mkdir -p ${tree}/sbin ${tree}/usr/bin ${tree}/var/tmp && echo init > ${tree}/sbin/init && chmod 4755 ${tree}/sbin/init
     ln -s usr/bin ${tree}/bin && echo ls > ${tree}/usr/bin/ls && ln ${tree}/usr/bin/ls ${tree}/usr/bin/dir && chmod 1777 ${tree}/var/tmp
     touch -d @1500000000 ${tree}/usr/bin/ls && mkfifo ${tree}/var/pipe && echo long > ${tree}/var/${'n'.repeat(120)}`,
    '/',
  )
  if (!root) return
  sh(`chown 7:8 ${tree}/usr/bin/ls && mknod ${tree}/var/disk b 7 0`, '/')
  spawnSync('setcap', ['cap_net_raw+ep', `${tree}/usr/bin/ls`])
}

function checkTree(test: Test, rootfs: string): void {
  const look = (path: string) => lstatSync(join(rootfs, path))
  test.equal(look('sbin/init').mode & 0o7777, 0o4755)
  test.equal(look('var/tmp').mode & 0o7777, 0o1777)
  test.equal(readlinkSync(join(rootfs, 'bin')), 'usr/bin')
  test.equal(look('usr/bin/ls').ino, look('usr/bin/dir').ino, 'two names of one file')
  test.equal(look('usr/bin/ls').mtimeMs, 1_500_000_000_000, 'times are kept')
  test.ok(look('var/pipe').isFIFO())
  test.ok(existsSync(join(rootfs, 'var', 'n'.repeat(120))))
  test.ok(look('proc').isDirectory() && look('dev').isDirectory(), 'what the engine mounts on is there')
  if (!root) return
  test.match(look('usr/bin/ls'), { uid: 7, gid: 8 })
  test.notOk(existsSync(join(rootfs, 'var/disk')), 'device nodes are left out')
}

t.test('image import: a root file system, packed in any way', async (t) => {
  const { at, take, directory, nothingLeft } = place(t)
  makeTree(at('tree'))
  const xattrs = root ? "--xattrs --xattrs-include='*'" : ''
  sh(`tar --create --file plain.tar ${xattrs} --directory tree .`, directory)
  const forms: [string, string, string][] = [
    ['plain.tar', 'true', 'tar'],
    ['a.tar.gz', 'gzip -c plain.tar > a.tar.gz', 'gzip'],
    ['a.tar.xz', 'xz -c plain.tar > a.tar.xz', 'xz'],
    ['a.tar.zst', 'zstd -qc plain.tar > a.tar.zst', 'zstd'],
    ['a.squashfs', 'tar2sqfs -q a.squashfs < plain.tar', 'tar2sqfs'],
  ]
  const digests = new Set<string>()
  for (const [name, pack, program] of forms) {
    await t.test(name, { skip: lacks(program) }, async (t) => {
      sh(pack, directory)
      const made = await take(at(name))
      checkTree(t, made.rootfs)
      t.same(made.init, ['/sbin/init'])
      t.equal(`sha256:${sha256(made.layer)}`, made.digest)
      if (name !== 'a.squashfs') digests.add(made.digest)
      if (root && !lacks('getcap'))
        t.match(execFileSync('getcap', [join(made.rootfs, 'usr/bin/ls')], { encoding: 'utf8' }), /cap_net_raw/)
    })
  }
  t.equal(digests.size, 1, 'the same image however it was packed')
  t.same(nothingLeft(), [])
})

t.test('image import: images of LXD and Incus, in one file and in two', async (t) => {
  const { at, take, directory } = place(t)
  mkdirSync(at('unified'))
  makeTree(at('unified/rootfs'))
  writeFileSync(
    at('unified/metadata.yaml'),
    'architecture: x86_64\ncreation_date: 1700000000\nproperties:\n  os: Alpine\n  release: "3.20"\n  description: Alpine 3.20\ntemplates:\n  /etc/hostname:\n    when: [create]\n    template: hostname.tpl\n',
  )
  mkdirSync(at('unified/templates'))
  sh('tar --create --gzip --file unified.tar.gz --directory unified metadata.yaml rootfs templates', directory)
  const properties = { os: 'Alpine', release: '3.20', description: 'Alpine 3.20', architecture: 'x86_64' }
  const unified = await take(at('unified.tar.gz'))
  checkTree(t, unified.rootfs)
  t.match(unified, { properties })
  t.notOk(existsSync(join(unified.rootfs, 'metadata.yaml')))

  sh('tar --create --xz --file meta --directory unified metadata.yaml templates', directory)
  sh(`tar --create --gzip --file root --directory unified/rootfs .`, directory)
  const names = `s|^meta$|${splitNames.metadata}|;s|^root$|${splitNames.rootfs}|`
  sh(`tar --create --file both.tar '--transform=${names}' meta root`, directory)
  const split = await take(at('both.tar'))
  t.match(split, { properties, digest: unified.digest })
  await t.rejects(take(at('meta')), { code: 'BAD_REQUEST', message: /metadata without a rootfs/ })
})

/** Layers as blobs: the second one takes away and replaces what the first brought. */
function ociLayers(at: (name: string) => string): string[] {
  const first: Given[] = [
    { path: 'usr/', type: 'directory', mode: 0o755 },
    { path: 'usr/lib/', type: 'directory', mode: 0o755 },
    { path: 'lib', type: 'symlink', linkPath: '/usr/lib' },
    { path: 'usr/lib/gone', content: 'a' },
    { path: 'usr/lib/kept', content: 'b' },
    { path: 'old/', type: 'directory', mode: 0o755 },
    { path: 'old/below', content: 'c' },
    { path: 'sbin/', type: 'directory', mode: 0o755 },
    { path: 'sbin/init', content: 'i', mode: 0o755 },
  ]
  const second: Given[] = [
    { path: 'lib/.wh.gone' },
    { path: 'lib/new', content: 'through a link' },
    { path: 'old/.wh..wh..opq' },
    { path: 'old/fresh', content: 'd' },
  ]
  return [writeTar(at('first'), first), writeTar(at('second'), second)]
}

const checkLayers = (test: Test, rootfs: string): void => {
  test.same(
    readdirSync(join(rootfs, 'usr/lib')).sort(),
    ['kept', 'new'],
    'a whiteout, and a file through a link of the image',
  )
  test.same(readdirSync(join(rootfs, 'old')), ['fresh'], 'an opaque directory')
  test.equal(readlinkSync(join(rootfs, 'lib')), '/usr/lib')
}

t.test('image import: an OCI layout and a docker archive, layer upon layer', async (t) => {
  const { at, take, directory } = place(t)
  const layers = ociLayers(at)
  mkdirSync(at('oci/blobs/sha256'), { recursive: true })
  const blob = (bytes: Buffer | string): string => {
    const digest = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(at(`oci/blobs/sha256/${digest}`), bytes)
    return `sha256:${digest}`
  }
  const config = JSON.stringify({ config: { Entrypoint: ['/sbin/init'], Cmd: [] } })
  const manifest = {
    config: { digest: blob(config) },
    layers: layers.map((path) => ({ digest: blob(readFileSync(path)) })),
  }
  writeFileSync(at('oci/oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  writeFileSync(at('oci/index.json'), JSON.stringify({ manifests: [{ digest: blob(JSON.stringify(manifest)) }] }))
  sh('tar --create --file oci.tar --directory oci .', directory)
  const oci = await take(at('oci.tar'))
  checkLayers(t, oci.rootfs)

  const [first = ''] = manifest.layers.map(({ digest }) => digest)
  writeFileSync(at(`oci/blobs/${first.replace(':', '/')}`), 'something else')
  sh('tar --create --file bad.tar --directory oci .', directory)
  await t.rejects(take(at('bad.tar')), { code: 'TRANSFER_FAILED', message: /has digest sha256:/ })

  writeFileSync(at('config.json'), config)
  writeFileSync(at('manifest.json'), JSON.stringify([{ Config: 'config.json', Layers: ['first', 'second'] }]))
  sh('tar --create --file docker.tar manifest.json config.json first second', directory)
  t.equal((await take(at('docker.tar'))).digest, oci.digest)
})

t.test('image import: what is no image says so, and leaves nothing', async (t) => {
  const { at, take, directory, nothingLeft } = place(t)
  const cases: [name: string, entries: Given[] | string, message: RegExp][] = [
    ['no archive at all', 'hello '.repeat(500), /it is no tar archive/],
    ['an empty one', [], /it is empty/],
    ['no init', [{ path: 'etc/x', content: 'x' }], /without an init/],
    ['cut off', [{ path: 'sbin/init', content: 'x', sizeBytes: 5000 }], /ends in the middle|damaged/],
    ['an absolute path', [{ path: '/etc/passwd' }], /"\/etc\/passwd": its path is absolute/],
    ['out by ..', [{ path: 'a/../../b' }], /leads out by \.\./],
    ['a foreign owner', [{ path: 'a', uid: 100_000 }], /owner 100000 is not within 0 to 65535/],
    [
      'a hard link to a file of the host',
      [{ path: 'a', type: 'hardlink', linkPath: '/etc/shadow' }],
      /no file before it/,
    ],
    ['a hard link out by ..', [{ path: 'a', type: 'hardlink', linkPath: '../../etc/shadow' }], /leads out by \.\./],
  ]
  for (const [name, entries, message] of cases) {
    const path = at('bad')
    if (typeof entries === 'string') writeFileSync(path, entries)
    else writeTar(path, entries)
    await t.rejects(take(path), { code: 'BAD_REQUEST', message }, name)
  }
  writeFileSync(at('bad.gz'), Buffer.from([0x1f, 0x8b, 1, 2, 3]))
  await t.rejects(take(at('bad.gz')), { code: 'BAD_REQUEST', message: /gzip/ })
  sh('truncate --size 1M sparse && tar --create --sparse --file sparse.tar sparse', directory)
  await t.rejects(take(at('sparse.tar')), { code: 'BAD_REQUEST', message: /sparse/ })
  t.same(nothingLeft(), [])
})

t.test('image import: links of the archive lead nowhere but into it', async (t) => {
  const { at, take, directory } = place(t)
  mkdirSync(at('victim'))
  const victim = join(directory, 'victim')
  const made = await take(
    writeTar(at('links'), [
      { path: 'sbin/init', content: 'i', mode: 0o755 },
      { path: 'abs', type: 'symlink', linkPath: victim },
      { path: 'abs/one', content: '1' },
      { path: 'up', type: 'symlink', linkPath: '../../../../../../../..' },
      { path: `up${victim}/two`, content: '2' },
      { path: 'first', type: 'symlink', linkPath: 'second' },
      { path: 'second', type: 'symlink', linkPath: victim },
      { path: 'first/three', content: '3' },
    ]),
  )
  t.same(readdirSync(victim), [], 'nothing was written outside')
  t.same(readdirSync(join(made.rootfs, victim)).sort(), ['one', 'three', 'two'], 'but where the links lead inside')
  await t.rejects(
    take(
      writeTar(at('loop'), [
        { path: 'a', type: 'symlink', linkPath: 'b' },
        { path: 'b', type: 'symlink', linkPath: 'a' },
        { path: 'a/x', content: 'x' },
      ]),
    ),
    { message: /too many links/ },
  )
})

t.test('image import: bounds, and attributes by which overlayfs would be told something', async (t) => {
  const guard = new TarGuard('image x', { totalBytes: 100, entries: 3 })
  const value = Buffer.from('y')
  const attributes = new Map([
    ['trusted.overlay.redirect', value],
    ['user.overlay.opaque', value],
    ['security.selinux', value],
    ['user.mime', value],
  ])
  t.same([...(guard.admit(tarEntry({ path: 'a', attributes }))?.attributes.keys() ?? [])], ['user.mime'])
  t.throws(() => guard.admit(tarEntry({ path: 'b', sizeBytes: 101 })), { message: /more than 100 bytes/ })
  const many = new TarGuard('image x', { totalBytes: 100, entries: 2 })
  for (const path of ['a', 'b']) many.admit(tarEntry({ path }))
  t.throws(() => many.admit(tarEntry({ path: 'c' })), { message: /more than 2 entries/ })
  t.throws(() => new TarGuard('x').admit(tarEntry({ path: 'n'.repeat(256) })), { message: /a name longer than 255/ })
})
