// What CRIU keeps of what it knows of the kernel: in a /run of the test's own.

import { execFileSync } from 'node:child_process'
import t from 'tap'
import { binary, reasonToSkip } from './engine-program.ts'
import { chooseCriu } from './migration-stage.ts'

t.test('a CRIU that was killed as it wrote keeps no later one from it', { skip: reasonToSkip }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no CRIU on this machine: ${criu.reason}`)
  const script = `mount -t tmpfs -o mode=755 run /run
    touch -d yesterday /run/drover-criu.kdat.tmp
    "$1" --criu-selftest "$2" > /dev/null
    ls /run`
  const left = execFileSync('unshare', ['-m', 'bash', '-ec', script, 'bash', binary, criu.path], { encoding: 'utf8' })
  t.equal(left.trim(), 'drover-criu.kdat')
})
