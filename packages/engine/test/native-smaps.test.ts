// What CRIU is told of a process's mappings with fewer calls of the kernel, or from what the engine has read (native/engine/preload/smaps.h), is what the
// kernel says.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { removeDirectory } from '@drover/testkit/temporary'
import t from 'tap'

const library = fileURLToPath(new URL('../../../native/engine/build/libdrover-criu.so', import.meta.url))
const source = fileURLToPath(new URL('./mappings.c', import.meta.url))
const whyNot =
  (process.getuid?.() !== 0 && 'needs root: the kernel shows the links of mappings to nobody else') ||
  (!existsSync(library) && 'native/engine/build has no libdrover-criu.so') ||
  (spawnSync('cc', ['--version']).status !== 0 && 'needs a compiler (cc)')

t.test('the mappings of a process that CRIU reads', { skip: whyNot }, async (t) => {
  const scratch = mkdtempSync(join(tmpdir(), 'drover-mappings-'))
  t.teardown(() => removeDirectory(scratch))
  const program = join(scratch, 'mappings')
  execFileSync('cc', ['-O1', '-pthread', '-o', program, source, '-ldl'])
  const file = join(scratch, 'file')
  writeFileSync(file, Buffer.alloc(64 << 10, 1))
  const lines = (environment: Record<string, string>) =>
    execFileSync(program, [file], { env: { ...process.env, ...environment }, encoding: 'utf8' })
      .trim()
      .split('\n')
  const asTheKernelSays = ['smaps same', 'links some, same, unknown', 'links some, same, unknown']
  t.same(lines({}), asTheKernelSays, 'without the library all comes from the kernel')
  t.same(lines({ LD_PRELOAD: library }), [
    ...asTheKernelSays,
    'free read, then none',
    'there taken over, then there',
    'reading taken over, then there',
    'none read, then none',
    'another’s read, then there',
    'damaged read, then there',
  ])
})
