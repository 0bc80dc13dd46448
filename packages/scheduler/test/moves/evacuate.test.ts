// Emptying hosts by plan: where all go, who can't, what would make room, in what order and how long it takes.

import { planEvacuation, usualEvacuationPolicy, usualMoveModel } from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { GiB, MiB } from '../cluster.ts'
import { cluster, container } from './containers.ts'

const names = ['a', 'b', 'c']

t.test('the whole host is planned, hardest first, and each container has a place', async (t) => {
  const containers = [
    container('small', 'a', { memoryBytes: GiB / 2 }),
    container('large', 'a', { memoryBytes: 3 * GiB }),
    container('there', 'b', { memoryBytes: 2 * GiB }),
  ]
  const plan = planEvacuation({ snapshot: cluster(names, containers), containers, hosts: ['a'] })
  const to = Object.fromEntries(plan.moves.map((move) => [move.container, move.to]))
  t.same(to, { large: 'c', small: 'c' }, 'best fit would have put the small one where the large one has to go')
  t.match(plan, { stays: [], stops: [], hosts: [{ host: 'a', leaves: 2, stays: 0 }], meetsDeadline: true })
  t.ok(plan.etaMs > 0)
  t.equal(plan.hosts[0]?.emptyMs, plan.etaMs)
})

t.test('several hosts at once: nobody goes to one that is next', async (t) => {
  const containers = [container('w1', 'a'), container('w2', 'b'), container('w3', 'b')]
  const plan = planEvacuation({ snapshot: cluster(names, containers), containers, hosts: ['a', 'b'] })
  t.ok(plan.moves.length === 3 && plan.moves.every(({ to }) => to === 'c'))
  const all = planEvacuation({ snapshot: cluster(names, containers), containers, hosts: names })
  t.same(all.moves, [])
  t.match(all.stays[0], { reason: 'there is no host that is not emptied as well', room: null })
})

t.test('each leaves as it is wished', async (t) => {
  const pinned = { ...container('pinned', 'a'), movable: false, fixed: 'it is pinned to a' }
  const containers = ['live', 'frozen', 'cold', 'stop', 'stay'].map((name) => container(name, 'a')).concat(pinned)
  const leaving = { frozen: 'frozen', cold: 'cold', stop: 'stop', stay: 'stay' } as const
  const snapshot = cluster(['a', 'b'], containers, { b: { migratable: false } })
  const plan = planEvacuation({ snapshot, containers, hosts: ['a'], leaving })
  t.match(plan.moves, [{ container: 'cold', how: 'cold', to: 'b' }], 'b has no CRIU, so it only takes what is stopped')
  t.same(plan.stops, ['stop'])
  const reasons = Object.fromEntries(plan.stays.map(({ container, reason }) => [container, reason]))
  t.match(reasons, {
    live: 'none of 1 hosts can take it: 1 HOST_NOT_MIGRATABLE',
    frozen: /HOST_NOT_MIGRATABLE/,
    stay: 'it is to stay',
    pinned: 'it is pinned to a',
  })
  t.equal(plan.hosts[0]?.emptyMs, null)
})

t.test('room', async (t) => {
  // c has 1 GiB free and b 2; moving `way` from b to c would let the large one into b.
  const containers = [
    container('large', 'a', { memoryBytes: 3 * GiB }),
    container('way', 'b', { memoryBytes: GiB }),
    container('firm', 'b', { memoryBytes: GiB }),
    container('full', 'c', { memoryBytes: 3 * GiB }),
  ]
  const input = { snapshot: cluster(names, containers), containers, hosts: ['a'] }
  t.test('what would have to move is said', async (t) => {
    const plan = planEvacuation(input)
    t.same(plan.moves, [])
    t.match(plan.stays, [
      {
        reason: 'none of 2 hosts can take it: 2 INSUFFICIENT_MEMORY',
        room: 'b would have room if firm to c were moved',
      },
    ])
  })
  t.test('it is made when it may be, and before it is needed', async (t) => {
    const plan = planEvacuation(input, { ...usualEvacuationPolicy, mayMakeRoom: true })
    t.match(plan.moves, [
      { container: 'firm', from: 'b', to: 'c', makesRoomFor: 'large' },
      { container: 'large', from: 'a', to: 'b', makesRoomFor: null },
    ])
    t.ok(plan.moves[1]!.startMs >= plan.moves[0]!.endMs)
  })
  t.test('nobody more important makes room', async (t) => {
    const important = containers.map((each) =>
      each.demand.name === 'large' ? each : { ...each, demand: { ...each.demand, priority: 5 } },
    )
    t.equal(planEvacuation({ ...input, containers: important }).stays[0]?.room, null)
  })
})

t.test('important ones go first, then what frees most per second', async (t) => {
  const heavy = container('heavy', 'a', { memoryBytes: GiB, residentBytes: 4 * GiB })
  const vip = container('vip', 'a', { memoryBytes: 64 * MiB })
  const containers = [
    heavy,
    container('quick', 'a', { memoryBytes: GiB }),
    { ...vip, demand: { ...vip.demand, priority: 1 } },
  ]
  const one = { ...usualEvacuationPolicy, parallel: 1 }
  const plan = planEvacuation({ snapshot: cluster(names, containers), containers, hosts: ['a'] }, one)
  t.same(
    plan.moves.map((move) => move.container),
    ['vip', 'quick', 'heavy'],
  )
})

t.test('a deadline that can’t be met is said', async (t) => {
  const containers = [container('w', 'a', { diskBytes: 10 * GiB })]
  const input = { snapshot: cluster(names, containers), containers, hosts: ['a'] }
  const { etaMs } = planEvacuation(input)
  t.ok(etaMs > (1000 * 10 * GiB) / usualMoveModel.bytesPerS)
  t.equal(planEvacuation({ ...input, deadlineMs: etaMs - 1 }).meetsDeadline, false)
  t.equal(planEvacuation({ ...input, deadlineMs: etaMs }).meetsDeadline, true)
})

t.test(
  'for any cluster: all go or are named, none to a host that is emptied, no host overfull, lanes respected',
  async (t) => {
    const any = fc.record({
      containers: fc.array(fc.record({ on: fc.nat(3), memory: fc.integer({ min: 1, max: 24 }) }), { maxLength: 14 }),
      emptied: fc.subarray(['a', 'b', 'c', 'd'], { minLength: 1 }),
      parallel: fc.integer({ min: 1, max: 4 }),
      mayMakeRoom: fc.boolean(),
    })
    fc.assert(
      fc.property(any, ({ containers: list, emptied, parallel, mayMakeRoom }) => {
        const all = ['a', 'b', 'c', 'd']
        const used = new Map<string, number>()
        const containers = list.flatMap(({ on, memory }, at) => {
          const sum = (used.get(all[on]!) ?? 0) + memory
          if (sum > 32) return []
          used.set(all[on]!, sum)
          return [container(`w${at}`, all[on]!, { cpuMilli: 1, memoryBytes: 128 * MiB * memory })]
        })
        const policy = { ...usualEvacuationPolicy, parallel, parallelPerHost: 2, mayMakeRoom }
        const plan = planEvacuation({ snapshot: cluster(all, containers), containers, hosts: emptied }, policy)
        const leaving = containers.filter(({ host }) => emptied.includes(host)).map(({ demand }) => demand.name)
        const named = [
          ...plan.moves.filter(({ makesRoomFor }) => makesRoomFor === null).map((move) => move.container),
          ...plan.stays.map((stay) => stay.container),
        ]
        const complete = JSON.stringify([...leaving].sort()) === JSON.stringify(named.sort())
        const away = plan.moves.every(({ to }) => !emptied.includes(to))
        return complete && away && neverOverfull(containers, plan.moves) && lanes(plan.moves, parallel)
      }),
      { numRuns: 300 },
    )
    t.pass()
  },
)

type Moves = ReturnType<typeof planEvacuation>['moves']

/** A container takes room at its destination from the beginning of its move and frees the source at the end of it. */
function neverOverfull(containers: ReturnType<typeof container>[], moves: Moves): boolean {
  const moments = moves.flatMap(({ startMs, endMs }) => [startMs, endMs])
  const memory = new Map(containers.map(({ demand }) => [demand.name, demand.requests.memoryBytes]))
  return moments.every((now) => {
    const used = new Map<string, number>()
    const add = (host: string, name: string) => void used.set(host, (used.get(host) ?? 0) + memory.get(name)!)
    for (const { host, demand } of containers) {
      const move = moves.find((each) => each.container === demand.name)
      if (!move || now < move.endMs) add(host, demand.name)
      if (move && now >= move.startMs) add(move.to, demand.name)
    }
    return [...used.values()].every((bytes) => bytes <= 4 * GiB)
  })
}

function lanes(moves: Moves, parallel: number): boolean {
  return moves.every(({ startMs }) => {
    const now = moves.filter((each) => each.startMs <= startMs && startMs < each.endMs)
    const hosts = now.flatMap(({ from, to }) => [from, to])
    return now.length <= parallel && hosts.every((host) => hosts.filter((each) => each === host).length <= 2)
  })
}
