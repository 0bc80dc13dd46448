// SingleNodeLog on a real LMDB folder: order, durability, snapshots, refusals.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { SingleNodeLog } from '@drover/raft'
import t from 'tap'
import { RecordingMachine } from './recording-machine.ts'

const DEADLINE_MS = 30_000
const bytes = (text: string) => Buffer.from(text)

t.test('a proposal resolves with its index and what apply returned', async (t) => {
  const log = new SingleNodeLog({ directory: t.testdir(), machine: new RecordingMachine() })
  await log.start()
  t.same(await log.propose(bytes('a'), DEADLINE_MS), { index: 1, result: '1:a' })
  t.same(await log.propose(bytes('b'), DEADLINE_MS), { index: 2, result: '2:b' })
  t.match(log.status(), { role: 'leader', term: 1, appliedIndex: 2 })
  await log.close()
})

t.test('concurrent proposals are applied in the order in which they were proposed', async (t) => {
  const machine = new RecordingMachine()
  const log = new SingleNodeLog({ directory: t.testdir(), machine })
  await log.start()
  const names = Array.from({ length: 2000 }, (_, number) => `entry-${number}`)
  const outcomes = await Promise.all(names.map((name) => log.propose(bytes(name), DEADLINE_MS)))
  t.same(machine.entries, names)
  t.same(
    outcomes.map((outcome) => outcome.index),
    names.map((_, number) => number + 1),
  )
  await log.close()
})

t.test('a new life replays what the state has not seen, and only that', async (t) => {
  const directory = t.testdir()
  const first = new SingleNodeLog({ directory, machine: new RecordingMachine() })
  await first.start()
  for (const name of ['a', 'b', 'c']) await first.propose(bytes(name), DEADLINE_MS)
  await first.close()

  const empty = new RecordingMachine()
  const second = new SingleNodeLog({ directory, machine: empty })
  await second.start()
  t.same(empty.entries, ['a', 'b', 'c'])
  t.equal(second.status().term, 2, 'each life has its own term')
  await second.close()

  const persisted = new RecordingMachine({ appliedIndex: 2, entries: ['a', 'b'] })
  const third = new SingleNodeLog({ directory, machine: persisted })
  await third.start()
  t.same(persisted.entries, ['a', 'b', 'c'])
  t.equal(persisted.restores, 0)
  await third.close()
})

t.test('what was acknowledged survives SIGKILL', async (t) => {
  const directory = t.testdir()
  const program = `
    import { SingleNodeLog } from '@drover/raft'
    import { RecordingMachine } from './recording-machine.ts'
    const log = new SingleNodeLog({ directory: process.argv[1], machine: new RecordingMachine() })
    await log.start()
    for (let number = 0; number < 20; number += 1) {
      await log.propose(Buffer.from('entry-' + number), 10000)
      process.stdout.write(number + '\\n')
    }
    process.kill(process.pid, 'SIGKILL')`
  let output = ''
  try {
    execFileSync(process.execPath, ['--import=tsx', '--input-type=module', '-e', program, directory], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    t.fail('the child must have been killed')
  } catch (error) {
    t.equal((error as { signal: string }).signal, 'SIGKILL')
    output = String((error as { stdout: Buffer }).stdout)
  }
  const acknowledged = output.trim().split('\n').length
  t.equal(acknowledged, 20)
  const machine = new RecordingMachine()
  const log = new SingleNodeLog({ directory, machine })
  await log.start()
  t.equal(machine.entries.length, acknowledged)
  await log.close()
})

t.test('a snapshot replaces the entries before it, and an empty state starts from it', async (t) => {
  const directory = t.testdir()
  const log = new SingleNodeLog({ directory, machine: new RecordingMachine(), snapshotEvery: 10 })
  await log.start()
  for (let number = 1; number <= 25; number += 1) await log.propose(bytes(`${number}`), DEADLINE_MS)
  await log.close()

  const machine = new RecordingMachine()
  const again = new SingleNodeLog({ directory, machine, snapshotEvery: 10 })
  await again.start()
  t.equal(machine.restores, 1, 'the entries before the snapshot are gone, so it was restored')
  t.equal(machine.entries.length, 25)
  t.same(await again.propose(bytes('26'), DEADLINE_MS), { index: 26, result: '26:26' })
  await again.close()
})

t.test('a barrier resolves after every earlier proposal was applied', async (t) => {
  const machine = new RecordingMachine()
  const log = new SingleNodeLog({ directory: t.testdir(), machine })
  await log.start()
  const proposals = ['a', 'b', 'c'].map((name) => log.propose(bytes(name), DEADLINE_MS))
  await log.barrier(DEADLINE_MS)
  t.same(machine.entries, ['a', 'b', 'c'])
  await Promise.all(proposals)
  await log.close()
})

t.test('refusals are named: not open, empty, too large, queue full, too late', async (t) => {
  const log = new SingleNodeLog({ directory: t.testdir(), machine: new RecordingMachine() })
  await t.rejects(log.propose(bytes('early'), DEADLINE_MS), { code: 'NOT_LEADER' })
  await log.start()
  await t.rejects(log.propose(new Uint8Array(0), DEADLINE_MS), { code: 'TOO_LARGE' })
  await t.rejects(log.propose(new Uint8Array(5 * 1024 * 1024), DEADLINE_MS), { code: 'TOO_LARGE' })
  const flood = await Promise.allSettled(Array.from({ length: 5000 }, () => log.propose(bytes('x'), DEADLINE_MS)))
  const refused = flood.filter((outcome) => outcome.status === 'rejected')
  t.ok(refused.length > 0 && refused.length < 5000)
  t.ok(refused.every((outcome) => (outcome.reason as { code: string }).code === 'LIMIT_REACHED'))
  const late = log.propose(bytes('late'), 0)
  const until = Date.now() + 5
  while (Date.now() < until);
  await t.rejects(late, { code: 'TIMED_OUT', retryable: true })
  await log.close()
  await t.rejects(log.propose(bytes('closed'), DEADLINE_MS), { code: 'NOT_LEADER' })
})

t.test('a log that ends before the state refuses to start', async (t) => {
  const machine = new RecordingMachine({ appliedIndex: 3, entries: ['a', 'b', 'c'] })
  const log = new SingleNodeLog({ directory: join(t.testdir(), 'new'), machine })
  await t.rejects(log.start(), { code: 'INTERNAL', message: /ends at 0.*applied 3/ })
})
