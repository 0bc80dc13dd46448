// Rebalancing by named cases: when it acts, when it holds still, and what it says.

import { type MoveHistory, rebalance, usualRebalancePolicy } from '@drover/scheduler'
import t from 'tap'
import { GiB, MiB } from '../cluster.ts'
import { cluster, container } from './containers.ts'

const hourMs = 3_600_000
const noon = 12 * hourMs
const fresh: MoveHistory = { moves: [], running: 0, active: false }
const eager = { ...usualRebalancePolicy, hostCooldownMs: 0, maxConcurrent: 10 }

/** All on a: 8 of 400 milli and 400 MiB each, that is 80 % of its cores. */
const crowd = Array.from({ length: 8 }, (_, at) => container(`w${at}`, 'a', { cpuMilli: 400, memoryBytes: 400 * MiB }))

t.test('an unbalanced start is put right, each move with its reason, gain and cost', async (t) => {
  const plan = rebalance({ snapshot: cluster(['a', 'b', 'c'], crowd), containers: crowd }, fresh, eager, noon)
  t.equal(plan.verdict, 'PLANNED')
  t.ok(plan.imbalanceAfter <= eager.stopAt, `imbalance ${plan.imbalanceAfter}`)
  t.ok(plan.imbalanceBefore > eager.startAbove)
  t.equal(plan.moves.length, 5, 'with four, 4, 2 and 2 containers would leave 9 points of imbalance')
  for (const move of plan.moves) {
    t.equal(move.from, 'a')
    t.equal(move.reason, 'IMBALANCE')
    t.match(move.detail, /a is used to \d+ %, [bc] to \d+ %/)
    t.ok(move.gain >= eager.minGain)
    t.ok(move.cost.blackoutMs > 0 && move.cost.bytes > 0)
  }
})

t.test('a balanced cluster is left alone', async (t) => {
  const even = ['a', 'b', 'c'].map((on) => container(`on-${on}`, on, { cpuMilli: 1000, memoryBytes: GiB }))
  const plan = rebalance({ snapshot: cluster(['a', 'b', 'c'], even), containers: even }, fresh, eager, noon)
  t.match(plan, { verdict: 'BALANCED', moves: [], active: false })
})

t.test('hysteresis: between the thresholds it goes on with what it began, and begins nothing', async (t) => {
  const containers = [
    container('w1', 'a', { cpuMilli: 600, memoryBytes: 600 * MiB }),
    container('w2', 'a', { cpuMilli: 600, memoryBytes: 600 * MiB }),
    container('w3', 'b', { cpuMilli: 400, memoryBytes: 400 * MiB }),
  ]
  const input = { snapshot: cluster(['a', 'b'], containers), containers }
  const policy = { ...eager, startAbove: 0.2, stopAt: 0.06 }
  t.match(rebalance(input, fresh, policy, noon), { verdict: 'BALANCED' })
  t.match(rebalance(input, { ...fresh, active: true }, policy, noon).verdict, 'PLANNED')
})

t.test('a hot host is relieved where evenness is not wanted', async (t) => {
  const containers = [
    container('big', 'a', { cpuMilli: 3000 }),
    container('small', 'a', { cpuMilli: 700 }),
    container('other', 'b', { cpuMilli: 100 }),
  ]
  const policy = { ...eager, startAbove: Number.POSITIVE_INFINITY, stopAt: Number.POSITIVE_INFINITY }
  const plan = rebalance({ snapshot: cluster(['a', 'b'], containers), containers }, fresh, policy, noon)
  t.equal(plan.moves.length, 1)
  t.match(plan.moves[0], { from: 'a', to: 'b', reason: 'HOT_HOST' })
})

t.test('heat is not passed on: no host becomes hot by what relieves another', async (t) => {
  const containers = [
    ...['b1', 'b2', 'b3'].map((name) =>
      container(name, 'a', { cpuMilli: 1300, use: { cpuMilli: 2000, memoryBytes: 0 } }),
    ),
    container('i1', 'b', { cpuMilli: 100, use: { cpuMilli: 500, memoryBytes: 0 } }),
  ]
  const policy = { ...eager, startAbove: Number.POSITIVE_INFINITY, stopAt: Number.POSITIVE_INFINITY }
  const plan = rebalance({ snapshot: cluster(['a', 'b'], containers), containers }, fresh, policy, noon)
  t.equal(plan.moves.length, 1, 'a second one would leave b hotter than a was left')
})

t.test('measured use counts, not what was requested', async (t) => {
  const containers = crowd.map((each) => ({ ...each, use: { cpuMilli: 5, memoryBytes: 10 * MiB } }))
  const plan = rebalance({ snapshot: cluster(['a', 'b', 'c'], containers), containers }, fresh, eager, noon)
  t.equal(plan.verdict, 'BALANCED')
})

t.test('what keeps it calm', async (t) => {
  const input = { snapshot: cluster(['a', 'b', 'c'], crowd), containers: crowd }
  const past = (container: string, from: string, to: string, agoMs: number) => ({
    container,
    from,
    to,
    atMs: noon - agoMs,
    urgent: false,
  })
  t.test('cooldown of containers', async (t) => {
    const moves = crowd.map(({ demand }) => past(demand.name, 'b', 'a', hourMs))
    const plan = rebalance(input, { ...fresh, moves }, { ...eager, movesPerHour: 100 }, noon)
    t.match(plan, { moves: [], held: [], verdict: 'NOTHING_WORTHWHILE' })
  })
  t.test('cooldown of hosts', async (t) => {
    const moves = [past('x', 'c', 'b', 60_000)]
    const plan = rebalance(input, { ...fresh, moves }, { ...eager, hostCooldownMs: 5 * 60_000 }, noon)
    t.same(plan.moves, [], 'b and c rest, so there is nowhere to go')
  })
  t.test('no way back', async (t) => {
    const moves = crowd.map(({ demand }) => past(demand.name, 'b', 'a', 10 * hourMs))
    const plan = rebalance(input, { ...fresh, moves }, eager, noon)
    t.ok(plan.moves.length > 0)
    t.ok(plan.moves.every(({ to }) => to === 'c'))
  })
  t.test('quiet hours', async (t) => {
    const quietHours = [{ fromMinute: 22 * 60, toMinute: 13 * 60 }]
    const plan = rebalance(input, fresh, { ...eager, quietHours }, noon)
    t.same(plan.moves, [])
    t.equal(plan.verdict, 'HELD')
    t.ok(plan.held.every(({ why }) => why === 'QUIET_HOURS'))
    t.equal(rebalance(input, fresh, { ...eager, quietHours }, 14 * hourMs).verdict, 'PLANNED')
  })
  t.test('budget and concurrency', async (t) => {
    const spent = [past('x', 'p', 'q', 1000), past('y', 'p', 'q', 1000)]
    const one = rebalance(input, { ...fresh, moves: spent }, { ...eager, movesPerHour: 3 }, noon)
    t.equal(one.moves.length, 1)
    t.ok(one.held.length > 0 && one.held.every(({ why }) => why === 'BUDGET_SPENT'))
    const busy = rebalance(input, { ...fresh, running: 2 }, { ...eager, maxConcurrent: 2 }, noon)
    t.same(busy.moves, [])
  })
  t.test('what may not move', async (t) => {
    const containers = crowd.map((each) => ({ ...each, movable: false }))
    t.match(rebalance({ ...input, containers }, fresh, eager, noon), { moves: [], verdict: 'NOTHING_WORTHWHILE' })
  })
  t.test('a price above the gain', async (t) => {
    const containers = crowd.map((each) => ({ ...each, residentBytes: 100 * GiB }))
    t.match(rebalance({ ...input, containers }, fresh, eager, noon), { moves: [], verdict: 'NOTHING_WORTHWHILE' })
  })
})

t.test('memory pressure moves at once: in quiet hours, and with the fewest moves', async (t) => {
  const containers = [
    container('large', 'a', { memoryBytes: 2 * GiB }),
    container('right', 'a', { memoryBytes: GiB }),
    container('small', 'a', { memoryBytes: GiB / 4 }),
    container('else', 'b', { memoryBytes: GiB }),
  ]
  const snapshot = cluster(['a', 'b', 'c'], containers)
  const pressures = [{ host: 'a', memoryUsedBytes: 3.9 * GiB, frozen: [] }]
  const policy = { ...eager, quietHours: [{ fromMinute: 0, toMinute: 1440 }] }
  const plan = rebalance({ snapshot, containers, pressures }, fresh, policy, noon)
  t.match(plan.moves, [{ container: 'right', to: 'c', reason: 'MEMORY_PRESSURE', urgent: true }])
  t.match(plan.moves[0]?.detail, 'memory of a is used to 98 %')
})

t.test('what was frozen when memory ran out goes first; what fits nowhere is named', async (t) => {
  const containers = [
    container('cold', 'a', { memoryBytes: GiB }),
    container('warm', 'a', { memoryBytes: GiB }),
    container('full', 'b', { memoryBytes: 2.5 * GiB }),
  ]
  const pressures = [{ host: 'a', memoryUsedBytes: 2 * GiB, frozen: ['cold'] }]
  const snapshot = cluster(['a', 'b'], containers)
  const plan = rebalance({ snapshot, containers, pressures }, fresh, { ...eager, pressureStopAt: 0.9 }, noon)
  t.match(plan.moves[0], { container: 'cold', reason: 'OOM_FROZEN' })
  const crowded = rebalance({ snapshot, containers, pressures }, fresh, { ...eager, pressureStopAt: 0.5 }, noon)
  t.match(crowded.stuck, [{ container: 'cold', detail: 'no other host has memory to spare for cold' }])
})

t.test('groups that have drifted', async (t) => {
  const group = (kind: 'spread' | 'pack', topology: 'host' | 'rack' = 'host', strict = true) => ({
    group: { name: 'g', kind, strict, topology },
  })
  const member = (name: string, on: string, rule: ReturnType<typeof group>) => {
    const made = container(name, on)
    return { ...made, demand: { ...made.demand, ...rule } }
  }
  t.test('members that should be apart are parted', async (t) => {
    const containers = [member('m1', 'a', group('spread')), member('m2', 'a', group('spread'))]
    const plan = rebalance({ snapshot: cluster(['a', 'b'], containers), containers }, fresh, eager, noon)
    t.match(plan.moves, [{ from: 'a', to: 'b', reason: 'GROUP_DRIFT' }])
    t.match(plan.moves[0]?.detail, '2 members of group g share host a, where 1 may')
  })
  t.test('a preference parts them as far as there are domains', async (t) => {
    const rule = group('spread', 'host', false)
    const containers = ['m1', 'm2', 'm3', 'm4', 'm5'].map((name) => member(name, 'a', rule))
    const plan = rebalance({ snapshot: cluster(['a', 'b'], containers), containers }, fresh, eager, noon)
    t.equal(plan.moves.length, 2, 'three here and two there')
    t.same(plan.stuck, [])
  })
  t.test('members that should be together are brought together', async (t) => {
    const rule = group('pack', 'rack')
    const containers = [member('m1', 'a', rule), member('m2', 'b', rule), member('m3', 'c', rule)]
    const racks = { a: { rack: 'r1' }, b: { rack: 'r1' }, c: { rack: 'r2' } }
    const plan = rebalance({ snapshot: cluster(['a', 'b', 'c'], containers, racks), containers }, fresh, eager, noon)
    t.match(plan.moves, [{ container: 'm3', from: 'c', reason: 'GROUP_DRIFT' }])
  })
  t.test('a strict rule that can’t be met is said', async (t) => {
    const containers = [member('m1', 'a', group('spread')), member('m2', 'a', group('spread'))]
    const snapshot = cluster(['a', 'b'], containers, { b: { cordoned: true } })
    const plan = rebalance({ snapshot, containers }, fresh, eager, noon)
    t.same(plan.moves, [])
    t.match(plan.stuck[0]?.detail, /no host can take it/)
  })
})
