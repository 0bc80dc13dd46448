// The reconciler as tables: situation → next step.

import type { EngineContainer, EngineState } from '@drover/engine'
import type { Assignment, MigrationPhase, MigrationStep, PowerState } from '@drover/protocol'
import t from 'tap'
import { engineLimits } from '../src/reconcile/engine-limits.ts'
import { type Facts, isObsolete, nextStep, type Side } from '../src/reconcile.ts'
import { assignmentFor } from './harness.ts'

const image = `sha256:${'a'.repeat(64)}`
const revision = 7
const assigned = (more: Partial<Assignment> = {}): Assignment => ({ ...assignmentFor('c1', image), revision, ...more })

function engine(state: EngineState, epoch = 1): EngineContainer {
  return {
    container: 'c1',
    name: 'name-c1',
    epoch,
    state,
    initPid: null,
    startedAtMs: null,
    starts: 1,
    exit: null,
    upper: '/upper',
    memoryBytes: 0,
    cpuUsec: 0,
    processes: 0,
  }
}

function facts(more: Partial<Facts>): Facts {
  return {
    host: 'a',
    assignment: assigned(),
    unlisted: false,
    engine: null,
    session: null,
    imageHeld: true,
    ranUnder: null,
    ...more,
  }
}

const peer = (host: string) => ({ host, address: '127.0.0.1', streamPort: 1 })

function moving(side: Side, phase: MigrationPhase, more: Partial<Assignment> = {}): Assignment {
  const migration = { operation: 'op', phase, mode: 'live' as const, source: peer('a'), destination: peer('b') }
  return assigned({ role: side, epoch: side === 'source' ? 1 : 2, migration, ...more })
}

const session = (side: Side, step: MigrationStep['step'], closed = false) => ({ operation: 'op', side, step, closed })

t.test('reconcile: the power state of a container that this host owns', async (t) => {
  const table: [name: string, state: EngineState | null, desired: PowerState, expected: string | null][] = [
    ['absent, wanted running: created', null, 'running', 'create'],
    ['absent, wanted stopped: created as well', null, 'stopped', 'create'],
    ['created, wanted running: started', 'created', 'running', 'start'],
    ['created, wanted stopped: left', 'created', 'stopped', null],
    ['created, wanted frozen: started first', 'created', 'frozen', 'start'],
    ['running as wanted: left', 'running', 'running', null],
    ['running, wanted stopped: stopped', 'running', 'stopped', 'stop'],
    ['running, wanted frozen: frozen', 'running', 'frozen', 'freeze'],
    ['frozen, wanted running: thawed', 'frozen', 'running', 'thaw'],
    ['frozen, wanted stopped: stopped', 'frozen', 'stopped', 'stop'],
    ['frozen as wanted: left', 'frozen', 'frozen', null],
    ['stopped as wanted: left', 'stopped', 'stopped', null],
    ['stopped, wanted running: started', 'stopped', 'running', 'start'],
    ['dumped, and no move is under way: thawed', 'checkpointed', 'running', 'thaw'],
    ['restored under its own epoch: released', 'restored', 'running', 'release'],
  ]
  for (const [name, state, desired, expected] of table) {
    const step = nextStep(facts({ assignment: assigned({ desired }), engine: state && engine(state) }))
    t.equal(step?.kind ?? null, expected, name)
  }
})

t.test('reconcile: a container that ended by itself stays ended until the assignment changes', async (t) => {
  t.equal(nextStep(facts({ engine: engine('stopped'), ranUnder: revision })), null)
  t.same(nextStep(facts({ engine: engine('stopped'), ranUnder: revision - 1 })), { kind: 'start' })
  t.same(
    nextStep(facts({ engine: engine('stopped'), ranUnder: revision, restartDue: true })),
    { kind: 'start' },
    'or its restart is due',
  )
})

t.test(
  'reconcile: changed limits are brought to the engine, whatever the power state, and never in a move',
  async (t) => {
    const limits = { cpuMilli: 0, memoryBytes: 1, diskBytes: 0, pids: 0 }
    for (const state of ['created', 'running', 'frozen', 'stopped'] as const) {
      t.same(nextStep(facts({ engine: { ...engine(state), limits } })), { kind: 'update' }, state)
    }
    t.same(nextStep(facts({ engine: { ...engine('checkpointed'), limits } })), { kind: 'thaw' })
    t.same(nextStep(facts({ engine: { ...engine('restored'), limits } })), { kind: 'release' })
    const wanted = engineLimits(assigned().spec)
    t.equal(nextStep(facts({ engine: { ...engine('running'), limits: wanted } })), null, 'in force: nothing to do')
    t.equal(nextStep(facts({ engine: engine('running') })), null, 'an engine that can’t say so is left alone')
    const renamed = assigned({ name: 'shop' })
    const held = { ...engine('running'), limits: wanted }
    t.same(nextStep(facts({ assignment: renamed, engine: held })), { kind: 'update' }, 'a new name as well')
    t.equal(nextStep(facts({ assignment: renamed, engine: { ...held, name: 'shop' } })), null)
  },
)

t.test('reconcile: what is frozen at its limit of memory is left so, until it is to stop', async (t) => {
  const wanted = engineLimits(facts({}).assignment!.spec)
  const memory = { nearLimit: true, frozenAtLimit: true, oomKills: 0, killed: null }
  const held = { ...engine('frozen'), limits: wanted, memory }
  t.equal(nextStep(facts({ engine: held })), null)
  t.same(nextStep(facts({ engine: { ...held, memory: { ...memory, frozenAtLimit: false } } })), { kind: 'thaw' })
  t.same(nextStep(facts({ engine: held, assignment: assigned({ desired: 'stopped' }) })), { kind: 'stop' })
  t.same(nextStep(facts({ engine: { ...held, limits: { ...wanted, memoryBytes: 1 } } })), { kind: 'update' })
})

t.test('limits: memory and pids follow the request unless they are set, the rest is free', async (t) => {
  const { spec } = assigned()
  const { memoryBytes, pids } = spec.requests
  t.match(engineLimits(spec), { cpuMilli: 0, memoryBytes, pids, swapBytes: -1, cpus: '', networkBits: 0 })
  const limits = { memoryBytes: 5 << 20, cpuMilli: 1500, pids: null, swapBytes: 0 }
  t.match(engineLimits({ ...spec, limits }), { cpuMilli: 1500, memoryBytes: 5 << 20, pids, swapBytes: 0 })
})

t.test('reconcile: a missing image is fetched first', async (t) => {
  t.same(nextStep(facts({ imageHeld: false })), { kind: 'ensure-image' })
})

t.test('reconcile: epochs', async (t) => {
  t.equal(nextStep(facts({ engine: engine('frozen', 2) })), null, 'an assignment of an older epoch does nothing')
  t.same(nextStep(facts({ engine: engine('stopped', 1), assignment: assigned({ epoch: 2 }) })), {
    kind: 'refuse-stale',
  })
})

t.test('reconcile: what is not assigned', async (t) => {
  t.equal(
    nextStep(facts({ assignment: null, engine: engine('running') })),
    null,
    'is left while the controller has not said all',
  )
  t.same(
    nextStep(facts({ assignment: null, unlisted: true, engine: engine('running', 3) })),
    { kind: 'delete', epoch: 3 },
    'is deleted when a complete list lacks it',
  )
  t.same(nextStep(facts({ assignment: assigned({ role: 'none' }), engine: engine('running') })), {
    kind: 'delete',
    epoch: 1,
  })
  t.equal(nextStep(facts({ assignment: assigned({ role: 'none' }) })), null)
})

t.test('reconcile: the source of a move', async (t) => {
  const table: [MigrationPhase, EngineState | null, MigrationStep['step'] | null, string | null][] = [
    ['planned', 'running', null, null],
    ['preparing', 'running', null, 'prepare-source'],
    ['preparing', 'running', 'prepared', null],
    ['precopying', 'running', 'prepared', 'precopy'],
    ['precopying', 'running', 'precopied', null],
    ['precopying', 'running', 'failed', null],
    ['precopying', 'running', null, 'give-up'],
    ['switching', 'running', 'precopied', 'switch'],
    ['switching', 'checkpointed', 'switched', null],
    ['switching', 'checkpointed', null, 'give-up'],
    ['switching', 'checkpointed', 'failed', null],
    ['committed', 'checkpointed', 'switched', 'delete'],
    ['committed', null, 'switched', 'note'],
    ['cleaning', null, 'cleaned', null],
    ['cleaning', 'checkpointed', null, 'delete'],
    ['aborted', 'checkpointed', 'switched', 'thaw'],
    ['aborted', 'running', 'switched', 'note'],
    ['aborted', 'running', 'cleaned', null],
    ['aborted', 'running', 'failed', 'note'],
  ]
  for (const [phase, state, step, expected] of table) {
    const given = facts({
      assignment: moving('source', phase),
      engine: state && engine(state),
      session: step && session('source', step),
    })
    t.equal(nextStep(given)?.kind ?? null, expected, `${phase}, ${state ?? 'absent'}, session ${step ?? 'lost'}`)
  }
  const closed = facts({
    assignment: moving('source', 'switching'),
    engine: engine('running'),
    session: session('source', 'precopied', true),
  })
  t.equal(nextStep(closed), null, 'a closed session freezes nothing')

  const unasked = { assignment: moving('source', 'preparing'), engine: engine('running') }
  const ready = { ...session('source', 'preparing'), precopiesAtOnce: true }
  t.same(nextStep(facts({ ...unasked, session: ready })), { kind: 'precopy' }, 'it need not be told to')
  t.equal(nextStep(facts({ ...unasked, session: { ...ready, closed: true } })), null)
  t.equal(nextStep(facts({ ...unasked, session: { ...ready, step: 'precopied' } })), null, 'once')
  t.equal(nextStep(facts({ ...unasked, session: session('source', 'preparing') })), null, 'another one waits for word')
})

t.test('reconcile: the destination of a move', async (t) => {
  const table: [MigrationPhase, EngineState | null, MigrationStep['step'] | null, string | null][] = [
    ['planned', null, null, null],
    ['preparing', null, null, 'prepare-destination'],
    ['preparing', null, 'prepared', null],
    ['precopying', null, null, 'give-up'],
    ['precopying', 'created', 'prepared', null],
    ['switching', 'created', 'precopied', null],
    ['switching', 'created', null, 'give-up'],
    ['switching', 'restored', 'restored', null],
    ['switching', 'restored', null, 'give-up'],
    ['committed', 'restored', 'restored', 'release'],
    ['committed', 'restored', null, 'release'],
    ['committed', 'running', 'restored', 'note'],
    ['committed', 'running', 'released', null],
    ['committed', 'created', 'restored', 'start'],
    ['aborted', 'restored', 'restored', 'delete'],
    ['aborted', 'created', 'failed', 'delete'],
    ['aborted', null, 'failed', 'note'],
    ['aborted', null, 'cleaned', null],
  ]
  for (const [phase, state, step, expected] of table) {
    const given = facts({
      host: 'b',
      assignment: moving('destination', phase),
      engine: state && engine(state, 2),
      session: step && session('destination', step),
    })
    t.equal(nextStep(given)?.kind ?? null, expected, `${phase}, ${state ?? 'absent'}, session ${step ?? 'lost'}`)
  }
  const switched = { host: 'b', assignment: moving('destination', 'switching'), switched: true }
  const kept = { kind: 'note', side: 'destination', step: 'restored' }
  t.same(nextStep(facts({ ...switched, engine: engine('restored', 2) })), kept, 'the dump had succeeded')
  t.equal(nextStep(facts({ ...switched, engine: engine('created', 2) }))?.kind, 'give-up')
  const foreign = facts({ ...switched, engine: engine('restored', 1) })
  t.equal(nextStep(foreign)?.kind, 'give-up', 'a copy of another epoch does not count as restored')
})

t.test('reconcile: an owner in a move takes its side by its host', async (t) => {
  const assignment = moving('destination', 'committed', { role: 'owner' })
  t.same(nextStep(facts({ host: 'b', assignment, engine: engine('restored', 2) })), { kind: 'release' })
})

t.test('reconcile: a running step is cut short only by the end of its move', async (t) => {
  t.equal(isObsolete('precopy', 'op', moving('source', 'precopying')), false)
  t.equal(isObsolete('precopy', 'op', moving('source', 'aborted')), true)
  t.equal(isObsolete('switch', 'op', moving('source', 'committed')), true)
  t.equal(isObsolete('switch', 'another', moving('source', 'switching')), true)
  t.equal(isObsolete('switch', 'op', assigned({ role: 'none' })), true)
  t.equal(isObsolete('switch', 'op', null), true)
  t.equal(isObsolete('start', null, null), false)
})

t.test('reconcile: a disk that was given up is removed before a fresh one is made', async (t) => {
  const rebuilt = assigned({ epoch: 4, diskEpoch: 3 })
  t.same(nextStep(facts({ assignment: rebuilt, engine: engine('running', 2) })), { kind: 'delete', epoch: 2 })
  t.same(nextStep(facts({ assignment: rebuilt })), { kind: 'create' })
  t.same(nextStep(facts({ assignment: rebuilt, engine: engine('created', 4) })), { kind: 'start' })
  t.same(nextStep(facts({ assignment: rebuilt, engine: engine('running', 3) })), { kind: 'refuse-stale' })
})
