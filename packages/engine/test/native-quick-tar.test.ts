// What goes with a container's tmpfs instead of tar (native/engine/preload/quick_tar.h): it reads what tar writes and the other way round, and
// leaves to tar what is not simple. `env` looks for tar in a folder that does not exist: only the library can have done the work.

import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'

const library = fileURLToPath(new URL('../../../native/engine/build/libdrover-criu.so', import.meta.url))
const whyNot =
  process.getuid?.() !== 0 ? 'needs root' : existsSync(library) ? false : 'native/engine/build has no libdrover-criu.so'
/** What `env` ends with when it finds no such program. */
const notFound = 127

/** Not in the checkout: on an overlay files can be of another device than their directory, which is left to tar. */
function scratch(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'drover-tar-'))
  t.teardown(() => removeDirectory(made))
  return made
}

/** As CRIU calls it. */
const writing = ['--create', '--gzip', '--no-unquote', '--no-wildcards', '--one-file-system', '--check-links']
const reading = ['--extract', '--gzip', '--no-unquote', '--no-wildcards']

function quickTar(kind: string[], directory: string, archive: string): number | null {
  const creates = kind === writing
  const end = creates ? ['--directory', directory, '.'] : ['--directory', directory]
  const { status } = spawnSync('/usr/bin/env', ['PATH=/nowhere', 'tar', ...kind, ...end], {
    env: { LD_PRELOAD: library },
    stdio: [creates ? 'ignore' : openSync(archive, 'r'), creates ? openSync(archive, 'w') : 'ignore', 'ignore'],
  })
  return status
}

/** All that tar keeps of a tree. */
function tree(directory: string): string {
  const format = '%P %y %m %U %G %Ts %l\\n'
  const names = execFileSync('find', [directory, '-printf', format], { encoding: 'utf8' })
  const contents = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} + | sort'], {
    cwd: directory,
    encoding: 'utf8',
  })
  return names.split('\n').sort().join('\n') + contents
}

function makeTree(directory: string): void {
  const at = (path: string) => join(directory, path)
  mkdirSync(at('systemd/units'), { recursive: true })
  writeFileSync(at('systemd/units/large'), Buffer.alloc(300_001, 'journal '))
  writeFileSync(at('systemd/empty'), '')
  symlinkSync('../elsewhere', at('systemd/link'))
  execFileSync('mkfifo', [at('initctl')])
  execFileSync('mknod', ['-m', '0', at('systemd/no-device'), 'c', '0', '0'])
  chownSync(at('systemd/units/large'), 104, 1_000)
  lchownSync(at('systemd/link'), 7, 8)
  chmodSync(at('systemd/units/large'), 0o4750)
  chmodSync(at('systemd'), 0o1777)
  utimesSync(at('systemd/units'), 1_500_000_000, 1_500_000_000)
  chmodSync(at('systemd/units'), 0o555)
}

t.test('a simple tree', { skip: whyNot }, async (t) => {
  const root = scratch(t)
  for (const name of ['from', 'ours', 'theirs']) mkdirSync(join(root, name))
  const [from, ours, theirs] = [join(root, 'from'), join(root, 'ours'), join(root, 'theirs')]
  makeTree(from)
  t.equal(quickTar(writing, from, join(root, 'ours.tar')), 0)
  execFileSync('tar', ['--extract', '--numeric-owner', '-f', join(root, 'ours.tar'), '-C', theirs])
  t.equal(tree(theirs), tree(from), 'tar reads what was written')
  execFileSync('tar', ['--create', '--numeric-owner', '-f', join(root, 'theirs.tar'), '-C', from, '.'])
  t.equal(quickTar(reading, ours, join(root, 'theirs.tar')), 0)
  t.equal(tree(ours), tree(from), 'and what tar writes is read')
})

t.test('what is not simple is left to tar', { skip: whyNot }, async (t) => {
  const root = scratch(t)
  for (const name of ['links', 'holes', 'devices', 'into']) mkdirSync(join(root, name))
  writeFileSync(join(root, 'links/one'), 'one')
  writeFileSync(join(root, 'holes/sparse'), '')
  linkSync(join(root, 'links/one'), join(root, 'links/two'))
  truncateSync(join(root, 'holes/sparse'), 1 << 20)
  t.equal(quickTar(writing, join(root, 'links'), join(root, 'links.tar')), notFound, 'hard links')
  t.equal(quickTar(writing, join(root, 'holes'), join(root, 'holes.tar')), notFound, 'holes')
  execFileSync('mknod', [join(root, 'devices/null'), 'c', '1', '3'])
  t.equal(quickTar(writing, join(root, 'devices'), join(root, 'devices.tar')), notFound, 'a device')
  execFileSync('tar', ['--create', '-f', join(root, 'devices.tar'), '-C', join(root, 'devices'), '.'])
  t.equal(quickTar(reading, join(root, 'into'), join(root, 'devices.tar')), notFound, 'an archive with a device')
  execFileSync('tar', ['--create', '-f', join(root, 'tars.tar'), '-C', join(root, 'links'), '.'])
  t.equal(quickTar(reading, join(root, 'into'), join(root, 'tars.tar')), notFound, 'an archive with hard links')
  t.equal(tree(join(root, 'into')).includes('one'), false, 'and nothing of it has been unpacked')
  execFileSync('sh', ['-c', 'head -c 900 tars.tar > short.tar'], { cwd: root })
  t.equal(quickTar(reading, join(root, 'into'), join(root, 'short.tar')), notFound, 'one that is cut off')
})
