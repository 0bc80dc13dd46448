// The state on disk: what was applied is there after a restart, a snapshot replaces everything, refusals move the index on.

import { cpSync } from 'node:fs'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import type { Entry } from '../src/core/entries.ts'
import { encodeEntry } from '../src/core/entry-codec.ts'
import { encodeSnapshot } from '../src/core/state.ts'
import { ClusterStateMachine } from '../src/shell/state-machine.ts'
import { ModelCluster } from './support/model-cluster.ts'
import { waitFor } from './support/nats-process.ts'

/** The entries of an eventful life. */
function eventfulEntries(): Entry[] {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.launch('one', 'a')
  cluster.launch('two', 'a')
  cluster.settle()
  cluster.must({ type: 'EvacuationStarted', atMs: cluster.nowMs, operation: 'empty', host: 'a', parallel: 2 })
  cluster.settle()
  const stop = { operation: 'gone', kind: 'delete', container: 'two', stopTimeoutMs: null } as const
  cluster.must({ type: 'PowerRequested', atMs: cluster.nowMs, ...stop })
  cluster.settle()
  cluster.propose({ type: 'CancelRequested', atMs: cluster.nowMs, operation: 'unknown' })
  return cluster.entries
}

const directory = (test: Test) => temporaryDirectory(test, 'state')

const machineIn = (test: Test, path: string) => new ClusterStateMachine(path, (error) => test.fail(String(error)))
const picture = (machine: ClusterStateMachine) => Buffer.from(encodeSnapshot(machine.state)).toString()
const applyAll = (machine: ClusterStateMachine, entries: readonly Entry[]) => {
  for (const entry of entries) machine.apply(machine.state.index + 1, encodeEntry(entry))
}

t.test('after a restart the state is as it was, and nothing is to be applied again', async (t) => {
  const path = directory(t)
  const entries = eventfulEntries()
  const first = machineIn(t, path)
  applyAll(first, entries)
  await first.close()
  const second = machineIn(t, path)
  t.equal(second.appliedIndex, entries.length)
  t.equal(picture(second), picture(first))
  t.strictSame(second.state.idsByName, first.state.idsByName)
  t.strictSame(second.state.running, first.state.running)
  await second.close()
})

t.test('whatever moment a crash takes, the disk holds the state of its own index', async (t) => {
  const path = directory(t)
  const entries = eventfulEntries()
  const machine = machineIn(t, path)
  for (let applied = 0; applied < entries.length; applied += 1) {
    applyAll(machine, entries.slice(applied, applied + 1))
    // Now and then the disk catches up, now and then it lags.
    if (applied % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (applied % 7 === 0) await waitFor('the disk', () => machine.appliedIndex === machine.state.index)
    if (applied % 5 !== 0) continue
    const copy = directory(t)
    cpSync(path, copy, { recursive: true })
    const crashed = machineIn(t, copy)
    t.ok(crashed.appliedIndex <= machine.state.index)
    applyAll(crashed, entries.slice(crashed.appliedIndex, applied + 1))
    t.equal(picture(crashed), picture(machine), `crashed at ${applied}`)
    await crashed.close()
  }
  await machine.close()
})

t.test('a snapshot replaces what was there, on disk as well', async (t) => {
  const entries = eventfulEntries()
  const source = machineIn(t, directory(t))
  applyAll(source, entries)
  const path = directory(t)
  const target = machineIn(t, path)
  applyAll(target, entries.slice(0, 9))
  target.restore(entries.length, source.snapshot())
  t.equal(picture(target), picture(source))
  t.throws(() => target.restore(1, source.snapshot()), /it says/)
  await target.close()
  const again = machineIn(t, path)
  t.equal(picture(again), picture(source))
  t.equal(again.appliedIndex, entries.length)
  for (const machine of [again, source]) await machine.close()
})

t.test('an entry that nobody can read is refused, and the log goes on', async (t) => {
  const machine = machineIn(t, directory(t))
  t.match(machine.apply(1, Buffer.from('{')), { ok: false, error: { error: { code: 'INTERNAL' } } })
  t.equal(machine.state.index, 1)
  t.throws(() => machine.apply(1, Buffer.from('{')), /already/)
  await machine.close()
})
