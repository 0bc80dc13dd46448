// Migrations, told as tables: what fails when, and who has the container afterwards.

import { silentAfterMs } from '@drover/protocol'
import t from 'tap'
import type { EntryOf } from '../src/core/entries.ts'
import { migrationStep } from '../src/core/observed.ts'
import { phaseDeadlinesMs } from '../src/core/planner-move.ts'
import { ModelCluster } from './support/model-cluster.ts'
import type { FailurePoint } from './support/model-host.ts'

const phases = ['planned', 'preparing', 'precopying', 'switching', 'committed'] as const
type Phase = (typeof phases)[number]

function movingCluster(mode: 'live' | 'cold' = 'live') {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  cluster.launch('web', 'a')
  cluster.settle()
  cluster.move('web', 'b', mode)
  const phase = () => cluster.operation('move-web').migration!.phase
  const reach = (wanted: Phase) => cluster.until(wanted, () => phase() === wanted)
  return { cluster, reach }
}

t.test('a live move passes its phases in order and ends on the destination', async (t) => {
  const { cluster } = movingCluster()
  cluster.settle()
  const operation = cluster.operation('move-web')
  t.match(operation, { state: 'done', phase: 'done', error: null })
  const told = cluster.events.filter(({ kind }) => kind.startsWith('migration.')).map(({ kind }) => kind.split('.')[1])
  // Its source was clean by then: no phase of its own for that.
  t.strictSame(told, ['planned', 'preparing', 'precopying', 'switching', 'committed'])
  t.ok(Number(operation.migration!.figures.phase_committed_ms) >= 0, 'how long it lasted is known')
  t.match(cluster.container('web'), { host: 'b', epoch: 2, state: 'running', starts: 1, operation: null })
  t.strictSame(cluster.executing('web'), ['b'])
  t.strictSame(cluster.holding('web'), ['b'])
  t.match(operation.migration!.figures, { source_ms: 1, destination_ms: 1 })
})

t.test('the entry that ends a move says how the container is there, if that is still true', (t) => {
  const { cluster } = movingCluster()
  cluster.settle()
  const types = cluster.entries.map(({ type }) => type)
  const committed = types.indexOf('MigrationCommitted')
  t.equal(types[committed + 1], 'OperationEnded', 'nothing was said of it in between')
  const { observed } = cluster.entries[committed + 1] as EntryOf<'OperationEnded'>
  t.match(observed, { host: 'b', epoch: 2, state: 'running', initPid: 200 })

  const other = movingCluster()
  other.reach('committed')
  const { id } = other.cluster.container('web')
  other.cluster.must({
    type: 'OperationEnded',
    atMs: other.cluster.nowMs,
    operation: 'move-web',
    state: 'done',
    message: 'a → b',
    error: null,
    figures: {},
    observed: { ...observed!, container: id, epoch: 1, state: 'stopped', initPid: 4711 },
  })
  t.match(other.cluster.container('web'), { state: 'running', operation: null })
  t.not(other.cluster.container('web').initPid, 4711, 'what another epoch was like is no news')
  t.end()
})

t.test('a cold move stops and starts; a stopped container stays stopped', async (t) => {
  const { cluster } = movingCluster('cold')
  cluster.settle()
  t.match(cluster.container('web'), { host: 'b', epoch: 2, state: 'running' })
  cluster.must({
    type: 'PowerRequested',
    atMs: cluster.nowMs,
    operation: 'stop',
    kind: 'stop',
    container: 'web',
    stopTimeoutMs: null,
  })
  cluster.settle()
  cluster.move('web', 'c', 'cold', 'again')
  cluster.settle()
  t.match(cluster.operation('again'), { state: 'done' })
  t.match(cluster.container('web'), { host: 'c', epoch: 3, state: 'stopped', desired: 'stopped' })
  t.strictSame(cluster.executing('web'), [])
  t.strictSame(cluster.holding('web'), ['c'])
})

t.test('whatever fails before the commit, the source goes on and the destination is left clean', async (t) => {
  const points: FailurePoint[] = (['source', 'destination'] as const).flatMap((side) =>
    (['preparing', 'precopying', 'switching'] as const).map((phase): FailurePoint => `${side} ${phase}`),
  )
  for (const mode of ['live', 'cold'] as const) {
    for (const point of points) {
      t.test(`${mode}: ${point}`, async (t) => {
        const { cluster } = movingCluster(mode)
        cluster.hosts.get(point.startsWith('source') ? 'a' : 'b')!.failures.add(point)
        cluster.settle()
        t.match(cluster.operation('move-web'), {
          state: 'failed',
          phase: 'aborted',
          error: { code: 'CHECKPOINT_FAILED', message: `${point} failed` },
        })
        t.match(cluster.container('web'), { host: 'a', epoch: 1, state: 'running', operation: null })
        t.strictSame(cluster.executing('web'), ['a'])
        t.strictSame(cluster.holding('web'), ['a'])
      })
    }
  }
})

t.test(
  'a move that is cancelled before the commit leaves the container where it was; afterwards it is refused',
  async (t) => {
    for (const phase of phases) {
      const { cluster, reach } = movingCluster()
      reach(phase)
      const outcome = cluster.propose({ type: 'CancelRequested', atMs: cluster.nowMs, operation: 'move-web' })
      cluster.settle()
      const late = phase === 'committed'
      t.equal(outcome.ok, !late, phase)
      if (late) t.match(outcome, { error: { error: { code: 'WRONG_STATE' } } })
      t.match(cluster.operation('move-web'), { state: late ? 'done' : 'cancelled' }, phase)
      t.strictSame(cluster.executing('web'), [late ? 'b' : 'a'], phase)
      t.strictSame(cluster.holding('web'), [late ? 'b' : 'a'], phase)
    }
  },
)

t.test('an agent that is restarted at any phase leaves exactly one running', async (t) => {
  for (const phase of phases) {
    for (const side of ['a', 'b']) {
      const { cluster, reach } = movingCluster()
      reach(phase)
      cluster.hosts.get(side)!.restartAgent()
      cluster.settle()
      const { state } = cluster.operation('move-web')
      t.not(state, 'running', `${side} restarted while ${phase}`)
      t.strictSame(cluster.executing('web'), [cluster.container('web').host], `${side} restarted while ${phase}`)
      t.equal(cluster.container('web').host, state === 'done' ? 'b' : 'a')
    }
  }
})

t.test('a side that is cut off at any phase: nothing runs twice, and when it is back exactly one runs', async (t) => {
  for (const phase of phases) {
    for (const side of ['a', 'b']) {
      const name = `${side} cut off while ${phase}`
      const { cluster, reach } = movingCluster()
      reach(phase)
      cluster.cutOff.add(side)
      for (let waited = 0; waited < 200_000; waited += silentAfterMs) {
        cluster.pass(silentAfterMs)
        cluster.settle()
      }
      t.not(cluster.operation('move-web').state, 'running', name)
      cluster.cutOff.delete(side)
      cluster.pass(1000)
      cluster.settle()
      const { host } = cluster.container('web')
      t.strictSame(cluster.executing('web'), [host], name)
      t.strictSame(cluster.holding('web'), [host], name)
      t.equal(cluster.container('web').state, 'running', name)
    }
  }
})

t.test('a source that dies after the destination has restored takes nothing with it', async (t) => {
  const { cluster, reach } = movingCluster()
  reach('switching')
  for (const host of ['a', 'b']) cluster.hosts.get(host)!.act()
  t.equal(cluster.hosts.get('b')!.steps.get('move-web')?.step, 'restored')
  cluster.cutOff.add('a')
  cluster.pass(silentAfterMs + 1)
  cluster.settle()
  t.strictSame(cluster.executing('web'), ['b'])
  t.ok(
    cluster.events.some(({ kind }) => kind === 'migration.cleaning'),
    'what it leaves behind is waited for in a phase of its own',
  )
  t.match(cluster.container('web'), { host: 'b', epoch: 2 })
})

t.test('a new leader goes on at any phase', async (t) => {
  for (const phase of phases) {
    const { cluster, reach } = movingCluster()
    reach(phase)
    cluster.changeLeader()
    cluster.plan()
    cluster.settle()
    t.match(cluster.operation('move-web'), { state: 'done' }, phase)
    t.strictSame(cluster.executing('web'), ['b'], phase)
  }
})

t.test('a phase that takes too long aborts the move', async (t) => {
  for (const phase of ['preparing', 'precopying', 'switching'] as const) {
    const { cluster, reach } = movingCluster()
    reach(phase)
    for (const host of ['a', 'b']) cluster.lossy.add(host)
    cluster.pass(phaseDeadlinesMs[phase] + 1)
    cluster.plan()
    t.match(cluster.operation('move-web'), { phase: 'aborted', error: { code: 'TIMED_OUT' } }, phase)
    cluster.settle()
    t.strictSame(cluster.executing('web'), ['a'], phase)
  }
})

t.test('of commit and abort the first applied wins, and the other is refused', async (t) => {
  for (const first of ['MigrationCommitted', 'MigrationAborted'] as const) {
    const { cluster, reach } = movingCluster()
    reach('switching')
    for (const host of ['a', 'b']) cluster.hosts.get(host)!.act()
    t.equal(cluster.hosts.get('b')!.steps.get('move-web')?.step, 'restored')
    const base = { atMs: cluster.nowMs, operation: 'move-web', figures: {} }
    const commit = { type: 'MigrationCommitted', ...base } as const
    const abort = { type: 'MigrationAborted', ...base, error: { code: 'TIMED_OUT', message: 'late' } } as const
    const [one, other] = first === 'MigrationCommitted' ? [commit, abort] : [abort, commit]
    t.equal(cluster.propose(one).ok, true)
    t.match(cluster.propose(other), { ok: false, error: { error: { code: 'WRONG_STATE' } } })
    cluster.settle()
    t.strictSame(cluster.executing('web'), [first === 'MigrationCommitted' ? 'b' : 'a'])
  }
})

t.test('a host dumps one container at a time, others don’t wait for it', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }, { name: 'd' }])
  for (const name of ['one', 'two', 'three']) cluster.launch(name, name === 'three' ? 'c' : 'a')
  cluster.settle()
  cluster.move('one', 'b')
  cluster.move('two', 'b')
  cluster.move('three', 'd')
  let together = 0
  cluster.until('all done', () => {
    const frozen = ['one', 'two', 'three'].filter((name) =>
      ['switching', 'committed'].includes(cluster.operation(`move-${name}`).phase),
    )
    const unsent = ['one', 'two'].filter(
      (name) =>
        cluster.operation(`move-${name}`).phase === 'switching' &&
        migrationStep(cluster.observed, 'a', `move-${name}`, 'source')?.step !== 'switched',
    )
    t.ok(unsent.length <= 1, 'one and two leave the same host')
    together = Math.max(together, frozen.length)
    return ['one', 'two', 'three'].every((name) => cluster.operation(`move-${name}`).state === 'done')
  })
  t.equal(together, 3, 'moves between other hosts don’t wait')
})

t.test('none is dumped for a host that still restores another', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  const names = ['one', 'two', 'three']
  for (const name of names) cluster.launch(name, 'a')
  cluster.settle()
  cluster.hosts.get('b')!.mute = 'restores'
  cluster.move('one', 'b')
  cluster.settle()
  cluster.move('two', 'b')
  cluster.move('three', 'c')
  cluster.settle()
  t.match(cluster.operation('move-one'), { phase: 'switching', state: 'running' })
  t.match(cluster.operation('move-two'), { phase: 'precopying', state: 'running' })
  t.match(cluster.operation('move-three'), { state: 'done' })
  cluster.hosts.get('b')!.mute = null
  cluster.until('all done', () => names.every((name) => cluster.operation(`move-${name}`).state === 'done'))
})

t.test('a destination that lets nothing run gets no more', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  const names = ['one', 'two', 'three', 'four', 'five', 'six']
  for (const name of names) cluster.launch(name, 'a')
  cluster.settle()
  cluster.hosts.get('b')!.failures.add('destination committed')
  for (const name of names) cluster.move(name, 'b')
  cluster.settle()
  const phases = names.map((name) => cluster.operation(`move-${name}`).phase)
  t.strictSame(phases.sort(), [...Array(4).fill('committed'), 'precopying', 'precopying'])
  cluster.hosts.get('b')!.failures.clear()
  cluster.until('all done', () => names.every((name) => cluster.operation(`move-${name}`).state === 'done'))
})

t.test('while one container is restored, the next is dumped on its way to another host', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  const names = ['one', 'two', 'three', 'four']
  for (const name of names) cluster.launch(name, 'a')
  cluster.settle()
  for (const [at, name] of names.entries()) cluster.move(name, at % 2 === 0 ? 'b' : 'c')
  let together = 0
  cluster.until('all done', () => {
    const frozen = names
      .map((name) => cluster.operation(`move-${name}`))
      .filter(({ phase }) => ['switching', 'committed'].includes(phase))
    const waitedFor = frozen.filter(
      ({ id, phase }) =>
        phase === 'switching' && migrationStep(cluster.observed, 'a', id, 'source')?.step !== 'switched',
    )
    t.ok(waitedFor.length <= 1, 'one is dumped at a time')
    for (const host of ['b', 'c']) t.ok(frozen.filter(({ migration }) => migration?.destination === host).length <= 3)
    together = Math.max(together, frozen.length)
    return names.every((name) => cluster.operation(`move-${name}`).state === 'done')
  })
  t.ok(together >= 2)
})

t.test('hosts with many processors freeze several containers at a time', async (t) => {
  const features = { cores: 6 }
  const cluster = new ModelCluster([
    { name: 'a', features },
    { name: 'b', features },
  ])
  const names = ['one', 'two', 'three', 'four', 'five', 'six']
  for (const name of names) cluster.launch(name, 'a')
  cluster.settle()
  for (const name of names) cluster.move(name, 'b')
  let together = 0
  cluster.until('all done', () => {
    const moves = names.map((name) => cluster.operation(`move-${name}`))
    const leaving = moves.filter(
      ({ id, phase }) =>
        phase === 'switching' && migrationStep(cluster.observed, 'a', id, 'source')?.step !== 'switched',
    )
    together = Math.max(together, leaving.length)
    return moves.every(({ state }) => state === 'done')
  })
  t.equal(together, 3)
})

t.test('a move that may prepares at once, unless others stand in line or the places are taken', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  for (const name of ['one', 'two', 'three', 'four']) cluster.launch(name, 'a')
  cluster.settle()
  const change = { moves: { perHost: 2, perLink: 2 } }
  t.equal(cluster.propose({ type: 'PolicyChanged', atMs: cluster.nowMs, operation: 'policy', change }).ok, true)
  const begin = (name: string, mayPrepare?: boolean) => {
    const entry: EntryOf<'MoveStarted'> = {
      type: 'MoveStarted',
      atMs: cluster.nowMs,
      operation: `move-${name}`,
      container: name,
      destination: 'b',
      mode: 'live',
      placement: { chosen: 'b', reason: '', hosts: [] },
      parent: null,
      ...(mayPrepare === undefined ? {} : { mayPrepare }),
    }
    t.equal(cluster.propose(entry).ok, true)
    return cluster.operation(`move-${name}`).phase
  }
  t.equal(begin('one', true), 'preparing')
  t.equal(begin('two'), 'planned', 'an older entry')
  t.equal(begin('three', true), 'planned', 'two stands in line')
  cluster.until('all done', () =>
    ['one', 'two', 'three'].every((name) => cluster.operation(`move-${name}`).state === 'done'),
  )
  t.equal(begin('four', true), 'preparing')
})

t.test('clear refusals', async (t) => {
  const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  cluster.launch('web', 'a')
  cluster.settle()
  const placement = { chosen: 'b', reason: '', hosts: [] }
  const base = {
    type: 'MoveStarted',
    atMs: 0,
    container: 'web',
    destination: 'b',
    mode: 'live',
    placement,
    parent: null,
  } as const
  const code = (entry: Parameters<typeof cluster.propose>[0]) => {
    const outcome = cluster.propose(entry)
    return outcome.ok ? 'taken' : outcome.error.error.code
  }
  const before = JSON.stringify([...cluster.state.tables.containers, ...cluster.state.tables.operations])
  t.equal(code({ ...base, operation: '1', destination: 'a' }), 'SAME_HOST')
  t.equal(code({ ...base, operation: '2', destination: 'nowhere' }), 'HOST_NOT_FOUND')
  t.equal(code({ ...base, operation: '3', container: 'nobody' }), 'CONTAINER_NOT_FOUND')
  t.equal(
    JSON.stringify([...cluster.state.tables.containers, ...cluster.state.tables.operations]),
    before,
    'nothing changed',
  )
  t.equal(code({ ...base, operation: '4' }), 'taken')
  t.equal(code({ ...base, operation: '4' }), 'taken', 'the same operation again')
  t.equal(code({ ...base, operation: '5' }), 'BUSY')
})
