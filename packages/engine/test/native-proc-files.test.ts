// What CRIU is told of its own descriptors with fewer calls of the kernel (native/engine/preload/proc_files.h): the mount is the right one, what is not
// a file of a name is described by the kernel, and links are followed or not as they were.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeDirectory } from '@drover/testkit/temporary'
import t from 'tap'

const library = fileURLToPath(new URL('../../../native/engine/build/libdrover-criu.so', import.meta.url))
const source = fileURLToPath(new URL('./descriptions.c', import.meta.url))
const whyNot = !existsSync(library)
  ? 'native/engine/build has no libdrover-criu.so'
  : spawnSync('cc', ['--version']).status !== 0 && 'needs a compiler (cc)'

t.test('the descriptions of descriptors that CRIU reads', { skip: whyNot }, async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'drover-descriptions-'))
  t.teardown(() => removeDirectory(scratch))
  const program = join(scratch, 'descriptions')
  execFileSync('cc', ['-O1', '-o', program, source])
  const [file, directory] = [join(scratch, 'file'), join(scratch, 'directory')]
  writeFileSync(file, 'some content')
  mkdirSync(directory)
  symlinkSync('nowhere', join(directory, 'link'))
  const lines = (environment: Record<string, string>) =>
    execFileSync(program, [file, '/proc/self/mounts', '/dev/null', directory], {
      env: { ...process.env, ...environment },
      encoding: 'utf8',
    }).split('\n')
  const common = ['root followed', 'mounts followed']
  t.match(lines({ LD_PRELOAD: library }), [
    `${file} same some end end`,
    '/proc/self/mounts same some end end',
    '/dev/null whole some end end',
    `${directory} same some end end`,
    'path same some end end',
    'socket whole some end end',
    'eventfd whole some end end',
    'watch whole some end end',
    ...common,
    'link itself',
  ])
  t.match(lines({}), [`${file} whole some end end`], 'without the library all comes from the kernel')
})
