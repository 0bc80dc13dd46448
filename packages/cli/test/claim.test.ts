// Of those that would start a daemon at once one does, whoever was killed as it did.

import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { giveClaimBack, takeClaim } from '../src/daemons/claim.ts'
import { bootId, identify, type ProcessIdentity } from '../src/daemons/index.ts'

function claimIn(t: Test): { made: string; path: string } {
  const made = mkdtempSync(join(tmpdir(), 'drover-claim-'))
  t.teardown(() => removeDirectory(made))
  return { made, path: join(made, 'starting') }
}

function claimant(t: Test, path: string, times: number | 'for ever'): ChildProcess {
  const child = fork(join(import.meta.dirname, 'claimant.ts'), [path, String(times)], { execArgv: ['--import=tsx'] })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

t.test('one has it, and asks in vain until it gives it back', async (t) => {
  const { made, path } = claimIn(t)
  t.equal(takeClaim(path), true)
  t.equal(takeClaim(path), false)
  giveClaimBack(path)
  t.same(readdirSync(made), [])
  t.equal(takeClaim(path), true)
})

t.test(
  'a ticket of a process that lives keeps others off, whatever came before it; others are cleared away',
  async (t) => {
    const { made, path } = claimIn(t)
    const child = spawn('sleep', ['1000'])
    t.teardown(() => child.kill('SIGKILL'))
    const { pid, startTicks } = identify(child.pid as number) as ProcessIdentity
    const ticket = `starting.${pid}.${startTicks}.${bootId()}`
    const dead = [
      `starting.${pid}.${startTicks - 1}.${bootId()}`,
      `starting.${pid}.${startTicks}.another`,
      'starting.x',
    ]
    for (const name of [ticket, ...dead]) writeFileSync(join(made, name), '')
    t.equal(takeClaim(path), false)
    t.same(readdirSync(made), [ticket])
    child.kill('SIGKILL')
    await once(child, 'exit')
    t.equal(takeClaim(path), true)
    t.same(readdirSync(made).length, 1, 'and its own is the only one')
  },
)

t.test('of many at once never two have it', async (t) => {
  const { path } = claimIn(t)
  const doomed = claimant(t, path, 'for ever')
  const others = [1, 2, 3].map(() => claimant(t, path, 100))
  const ends = others.map((child) => once(child, 'exit'))
  await once(others[0] as ChildProcess, 'message')
  doomed.kill('SIGKILL')
  t.same(
    (await Promise.all(ends)).map(([code]) => code),
    [0, 0, 0],
  )
})
