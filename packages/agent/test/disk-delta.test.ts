// The disk's way from one layer to another on real trees: pre-copy by tar, changes, delta; then both trees must be equal in every byte
// and attribute that a container could see.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { keepOnly, makeSockets, removePaths } from '../src/migration/apply-delta.ts'
import { diskDelta, namesIn, socketsOf } from '../src/migration/disk-delta.ts'
import { type Manifest, pathBytes, restlessDirectories, scanManifest } from '../src/migration/disk-manifest.ts'
import { MigrationSession } from '../src/migration/session.ts'
import {
  startDeltaArchive,
  startExtraction,
  startPrecopyArchive,
  type TarProcess,
} from '../src/migration/tar-process.ts'

const skip = process.getuid?.() !== 0 && 'device nodes, owners and trusted attributes need root'
const session = () => new MigrationSession('op', 'c1', 'source', () => {})

interface Trees {
  from: string
  to: string
}

async function pipe(archive: TarProcess, extraction: TarProcess): Promise<void> {
  for await (const chunk of archive.output()) await extraction.write(chunk)
  await archive.done()
  await extraction.done()
}

async function precopy({ from, to }: Trees): Promise<Manifest> {
  const manifest = await scanManifest(from)
  await makeSockets(to, socketsOf(manifest))
  await pipe(startPrecopyArchive(session(), from), startExtraction(session(), to))
  return manifest
}

async function sendDelta({ from, to }: Trees, before: Manifest): Promise<string[]> {
  const delta = diskDelta(before, await scanManifest(from))
  await removePaths(to, delta.deletions)
  await makeSockets(to, delta.sockets)
  const archive = startDeltaArchive(session(), from)
  if (delta.archive.length === 0) {
    archive.kill()
    return []
  }
  await archive.write(
    Buffer.concat(delta.archive.map((path) => Buffer.concat([pathBytes('.', path), Buffer.from([0])]))),
  )
  archive.endInput()
  await pipe(archive, startExtraction(session(), to))
  return delta.archive
}

/** Everything of a tree, one line per entry; tar's own view adds extended attributes. */
function describe(root: string): string[] {
  const inodes = new Map<bigint, string>()
  const walk = (path: string): string[] => {
    const at = pathBytes(root, path)
    const stats = lstatSync(at, { bigint: true })
    const kind = stats.mode & 0o170000n
    let content = ''
    if (stats.isFile()) content = createHash('sha256').update(readFileSync(at)).digest('hex')
    if (stats.isSymbolicLink()) content = readlinkSync(at)
    if (stats.isCharacterDevice() || stats.isBlockDevice()) content = String(stats.rdev)
    const first = inodes.get(stats.ino) ?? path
    inodes.set(stats.ino, first)
    const own = [path, kind, stats.mode & 0o7777n, stats.uid, stats.gid, stats.mtimeNs, content, first].join(' ')
    if (!stats.isDirectory()) return [own]
    const names = readdirSync(at, { encoding: 'latin1' }).sort()
    return [own, ...names.flatMap((name) => walk(path === '.' ? name : `${path}/${name}`))]
  }
  return walk('.')
}

function tarHash(root: string): string {
  const args = [
    '--create',
    '--directory',
    root,
    '--sort=name',
    '--xattrs',
    '--xattrs-include=*',
    '--acls',
    '--numeric-owner',
  ]
  const made = spawnSync('tar', [...args, '--format=posix', '--pax-option=delete=atime,delete=ctime', '.'], {
    maxBuffer: 1 << 28,
  })
  return createHash('sha256').update(made.stdout).digest('hex')
}

function mustRun(command: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(command, args)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
}

/** Extended attributes without extra packages: perl is in every Debian. */
function setAttribute(path: string, name: string, value: string): void {
  const call = process.arch === 'arm64' ? 5 : 188
  mustRun(
    'perl',
    '-e',
    `exit(syscall(${call}, $ARGV[0], $ARGV[1], $ARGV[2], length $ARGV[2], 0) == 0 ? 0 : 1)`,
    path,
    name,
    value,
  )
}

function layer(root: string): void {
  mkdirSync(join(root, 'etc/deep/er'), { recursive: true })
  writeFileSync(join(root, 'etc/passwd'), 'root')
  writeFileSync(join(root, 'etc/deep/er/file'), 'deep')
  chownSync(join(root, 'etc'), 1_000_000, 1_000_000)
  chownSync(join(root, 'etc/passwd'), 1_000_042, 1_000_007)
  chmodSync(join(root, 'etc/passwd'), 0o4751)
  symlinkSync('/etc/passwd', join(root, 'absolute-link'))
  writeFileSync(join(root, 'one'), 'linked')
  linkSync(join(root, 'one'), join(root, 'etc/two'))
  mustRun('mknod', join(root, 'whiteout'), 'c', '0', '0')
  mustRun('mknod', join(root, 'disk'), 'b', '7', '3')
  mustRun('mkfifo', join(root, 'fifo'))
  writeFileSync(join(root, 'sparse'), 'start')
  truncateSync(join(root, 'sparse'), 64 << 20)
  mkdirSync(join(root, 'opaque'))
  setAttribute(join(root, 'opaque'), 'trusted.overlay.opaque', 'y')
  setAttribute(join(root, 'one'), 'user.note', 'kept')
  mkdirSync(join(root, 'gone/with/all'), { recursive: true })
  writeFileSync(join(root, 'gone/with/all/of-it'), 'x')
  writeFileSync(join(root, 'becomes-directory'), 'x')
  mkdirSync(join(root, 'becomes-file'))
  writeFileSync(join(root, 'becomes-file/child'), 'x')
  writeFileSync(
    Buffer.concat([Buffer.from(`${root}/bytes-`), Buffer.from([0xff, 0xfe, 10, 0x2d])]),
    'a name that is no UTF-8',
  )
  writeFileSync(join(root, '-rf'), 'a name like an option')
}

function change(root: string): void {
  writeFileSync(join(root, 'etc/deep/er/file'), 'deep, changed in place')
  writeFileSync(join(root, 'etc/two'), 'changed through its other name')
  renameSync(join(root, 'etc/passwd'), join(root, 'etc/shadow'))
  rmSync(join(root, 'gone'), { recursive: true })
  rmSync(join(root, 'becomes-directory'))
  mkdirSync(join(root, 'becomes-directory'))
  writeFileSync(join(root, 'becomes-directory/child'), 'y')
  rmSync(join(root, 'becomes-file'), { recursive: true })
  writeFileSync(join(root, 'becomes-file'), 'y')
  rmSync(join(root, 'absolute-link'))
  symlinkSync('elsewhere', join(root, 'absolute-link'))
  rmSync(join(root, 'whiteout'))
  mustRun('mknod', join(root, 'etc/whiteout'), 'c', '0', '0')
  chmodSync(join(root, 'fifo'), 0o640)
  mkdirSync(join(root, 'opaque/new'))
  setAttribute(join(root, 'opaque/new'), 'trusted.overlay.opaque', 'y')
  utimesSync(join(root, '-rf'), 1_000_000_000, 1_000_000_000)
}

function trees(test: Pick<typeof t, 'testdir'>): Trees {
  const directory = test.testdir({ from: {}, to: {} })
  return { from: join(directory, 'from'), to: join(directory, 'to') }
}

t.test('disk: pre-copy and delta make an equal tree', { skip }, async (t) => {
  const both = trees(t)
  layer(both.from)
  const manifest = await precopy(both)
  t.same(describe(both.to), describe(both.from), 'after the pre-copy')
  t.equal(tarHash(both.to), tarHash(both.from), 'extended attributes too')
  t.ok(lstatSync(join(both.to, 'sparse')).blocks < 1000, 'a sparse file stays sparse')
  change(both.from)
  const sent = await sendDelta(both, manifest)
  t.same(describe(both.to), describe(both.from), 'after the delta')
  t.equal(tarHash(both.to), tarHash(both.from))
  t.ok(lstatSync(join(both.to, 'etc/two')).ino === lstatSync(join(both.to, 'one')).ino, 'hard links stay one file')
  t.ok(sent.includes('one') && sent.includes('etc/two'), 'all names of a changed file are sent')
})

t.test('disk: when nothing changed nothing is sent', { skip }, async (t) => {
  const both = trees(t)
  layer(both.from)
  const before = await precopy(both)
  // As a scan sees it that was made long enough after the last change.
  for (const entry of before.values()) entry.racy = false
  t.same(await sendDelta(both, before), [])
})

t.test('disk: what came with the tar and was gone before the delta does not stay', { skip }, async (t) => {
  const both = trees(t)
  mkdirSync(join(both.from, 'tmp'))
  mkdirSync(join(both.from, 'calm'))
  writeFileSync(join(both.from, 'tmp/kept'), 'x')
  const before = await scanManifest(both.from)
  for (const entry of before.values()) entry.racy = false
  writeFileSync(join(both.from, 'tmp/short'), 'x')
  mkdirSync(join(both.from, 'tmp/new/deep'), { recursive: true })
  writeFileSync(join(both.from, 'tmp/new/deep/short'), 'x')
  writeFileSync(join(both.from, 'tmp/new/kept'), 'x')
  await pipe(startPrecopyArchive(session(), both.from), startExtraction(session(), both.to))
  const restless = restlessDirectories(both.from, before)
  t.strictSame([...restless], ['tmp'])
  rmSync(join(both.from, 'tmp/short'))
  rmSync(join(both.from, 'tmp/new/deep'), { recursive: true })
  const names = namesIn(before, await scanManifest(both.from), restless)
  t.strictSame(names.get('tmp/new'), ['kept'])
  const removed: string[] = []
  for (const [directory, kept] of names) removed.push(...(await keepOnly(both.to, directory, kept)))
  t.strictSame(removed.sort(), ['tmp/new/deep', 'tmp/short'])
  await sendDelta(both, before)
  t.same(describe(both.to), describe(both.from))
})

t.test('disk: what changed just before the scan is sent again', { skip }, async (t) => {
  const both = trees(t)
  writeFileSync(join(both.from, 'hot'), 'x')
  const manifest = await scanManifest(both.from)
  t.equal(manifest.get('hot')?.racy, true)
  t.ok(diskDelta(manifest, await scanManifest(both.from)).archive.includes('hot'))
})

t.test('disk: attributes that tie a layer to its host stay behind', { skip }, async (t) => {
  const both = trees(t)
  mkdirSync(join(both.from, 'dir'))
  for (const name of ['origin', 'impure', 'redirect'])
    setAttribute(join(both.from, 'dir'), `trusted.overlay.${name}`, 'x')
  await precopy(both)
  const listed = spawnSync('tar', [
    '--create',
    '--directory',
    both.to,
    '--xattrs',
    '--xattrs-include=*',
    '--format=posix',
    '.',
  ])
  t.match(listed.stdout.toString('latin1'), /trusted\.overlay\.redirect/)
  t.notMatch(listed.stdout.toString('latin1'), /trusted\.overlay\.(origin|impure)/)
})

t.test('disk: a socket that nobody listens on is still there afterwards', async (t) => {
  const both = trees(t)
  mkdirSync(join(both.from, 'run'))
  await makeSockets(both.from, [{ path: 'run/s', mode: 0o751, uid: 0, gid: 0 }])
  await precopy(both)
  const made = lstatSync(join(both.to, 'run', 's'))
  t.equal(made.isSocket(), true)
  t.equal(made.mode & 0o7777, 0o751)
  t.same(readdirSync(both.to), ['run'], 'no other trace of making it')
})

t.test('disk: a removal does not follow a link that the container made', async (t) => {
  const both = trees(t)
  const outside = t.testdir({ to: {}, outside: { precious: 'data' } })
  symlinkSync(join(outside, 'outside'), join(outside, 'to', 'link'))
  await removePaths(join(outside, 'to'), ['link/precious'])
  t.equal(readFileSync(join(outside, 'outside', 'precious'), 'utf8'), 'data')
  await makeSockets(join(outside, 'to'), [{ path: 'link/s', mode: 0o700, uid: 0, gid: 0 }])
  t.same(readdirSync(join(outside, 'outside')), ['precious'])
  for (const path of ['../outside/precious', '/etc/passwd', 'a/../../b', '', '.', 'a\0b']) {
    await t.rejects(removePaths(both.to, [path]), { code: 'BAD_REQUEST' }, JSON.stringify(path))
  }
})

t.test('disk: a path that was a link and is a directory now is not written through', { skip }, async (t) => {
  const directory = t.testdir({ from: {}, to: {}, outside: { victim: 'data' } })
  const both = { from: join(directory, 'from'), to: join(directory, 'to') }
  symlinkSync(join(directory, 'outside'), join(both.from, 'swap'))
  const manifest = await precopy(both)
  rmSync(join(both.from, 'swap'))
  mkdirSync(join(both.from, 'swap'))
  writeFileSync(join(both.from, 'swap', 'victim'), 'overwritten')
  await sendDelta(both, manifest)
  t.equal(readFileSync(join(directory, 'outside', 'victim'), 'utf8'), 'data')
  t.same(describe(both.to), describe(both.from))
})
