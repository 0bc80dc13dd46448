// What holds for every cluster: no move makes the loads less even, no plan is longer than it must be (against a search
// through everything), and over ten thousand random days nothing goes back and forth.

import {
  type ContainerSnapshot,
  LoadMap,
  type MoveHistory,
  rebalance,
  useOf,
  usualRebalancePolicy,
} from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { GiB, MiB } from '../cluster.ts'
import { cluster, container, moved } from './containers.ts'
import { generator } from './random.ts'

const hourMs = 3_600_000
const fresh: MoveHistory = { moves: [], running: 0, active: false }
const policy = { ...usualRebalancePolicy, maxConcurrent: 100, movesPerHour: 100, pricePerBlackoutS: 0, pricePerGiB: 0 }
const names = ['a', 'b', 'c', 'd']
const capacity = { cpuMilli: 4000, memoryBytes: 4 * GiB }

const anyContainers = (hosts: number, most: number) =>
  fc
    .array(
      fc.record({
        on: fc.nat(hosts - 1),
        cpuMilli: fc.integer({ min: 1, max: 12 }),
        memory: fc.integer({ min: 1, max: 12 }),
      }),
      { maxLength: most },
    )
    .map((list) =>
      list.map(({ on, cpuMilli, memory }, at) =>
        container(`w${at}`, names[on]!, { cpuMilli: 100 * cpuMilli, memoryBytes: 100 * MiB * memory }),
      ),
    )

function imbalance(hosts: readonly string[], containers: readonly ContainerSnapshot[]): number {
  const sums = hosts.map((host) => {
    const sum = { cpuMilli: 0, memoryBytes: 0 }
    for (const each of containers) {
      if (each.host !== host) continue
      sum.cpuMilli += useOf(each).cpuMilli
      sum.memoryBytes += useOf(each).memoryBytes
    }
    return sum
  })
  // Straight from the definition, in two passes, to hold LoadMap's short cuts against.
  const variance = (['cpuMilli', 'memoryBytes'] as const).map((key) => {
    const shares = sums.map((sum) => sum[key] / capacity[key])
    const mean = shares.reduce((left, right) => left + right, 0) / shares.length
    return shares.reduce((total, share) => total + (share - mean) ** 2, 0) / shares.length
  })
  return Math.sqrt((variance[0]! + variance[1]!) / 2)
}

t.test('the imbalance is the standard deviation that its definition says, also after moves', async (t) => {
  fc.assert(
    fc.property(anyContainers(3, 8), fc.nat(2), (containers, to) => {
      const hosts = names.slice(0, 3)
      const loads = new LoadMap(
        hosts.map(() => capacity),
        hosts.map((host) =>
          containers
            .filter((each) => each.host === host)
            .reduce(
              (sum, { demand }) => ({
                cpuMilli: sum.cpuMilli + demand.requests.cpuMilli,
                memoryBytes: sum.memoryBytes + demand.requests.memoryBytes,
              }),
              { cpuMilli: 0, memoryBytes: 0 },
            ),
        ),
      )
      const near = (left: number, right: number) => Math.abs(left - right) < 1e-6
      if (!near(loads.imbalance, imbalance(hosts, containers))) return false
      const first = containers[0]
      const from = hosts.indexOf(first?.host ?? '')
      if (!first || from === to) return true
      loads.move(useOf(first), from, to)
      return near(loads.imbalance, imbalance(hosts, moved(containers, [{ container: 'w0', to: hosts[to]! }])))
    }),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('imbalance never rises: every prefix of a plan leaves the loads more even', async (t) => {
  fc.assert(
    fc.property(
      anyContainers(4, 16),
      fc.constantFrom(0.02, 0.15),
      fc.nat(2_000),
      (containers, startAbove, searchSteps) => {
        const chosen = { ...policy, startAbove, stopAt: startAbove / 2, searchSteps }
        const { moves } = rebalance({ snapshot: cluster(names, containers), containers }, fresh, chosen, 0)
        let before = imbalance(names, containers)
        return moves.every((_, at) => {
          const after = imbalance(names, moved(containers, moves.slice(0, at + 1)))
          const lower = after < before
          before = after
          return lower
        })
      },
    ),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('moves are minimal: no shorter sequence of worthwhile moves evens the loads as well', async (t) => {
  let planned = 0
  fc.assert(
    fc.property(anyContainers(3, 5), (containers) => {
      const hosts = names.slice(0, 3)
      const chosen = { ...policy, startAbove: 0.1, stopAt: 0.08, hotAbove: 10, searchSteps: 100_000 }
      if (imbalance(hosts, containers) <= chosen.startAbove) return true
      const { moves } = rebalance({ snapshot: cluster(hosts, containers), containers }, fresh, chosen, 0)
      const fewest = bruteForce(hosts, containers, chosen)
      if (fewest === null) return imbalance(hosts, moved(containers, moves)) > chosen.stopAt
      planned += 1
      return moves.length === fewest
    }),
    { numRuns: 250 },
  )
  t.ok(planned > 50, `${planned} of the clusters could be evened`)
})

/** Breadth first through everything that single worthwhile moves reach; null: nothing of it is even enough. */
function bruteForce(
  hosts: readonly string[],
  start: readonly ContainerSnapshot[],
  { stopAt, minGain }: { stopAt: number; minGain: number },
): number | null {
  let level: { containers: readonly ContainerSnapshot[]; moved: ReadonlySet<string> }[] = [
    { containers: start, moved: new Set() },
  ]
  for (let depth = 0; level.length > 0; depth++) {
    if (level.some(({ containers }) => imbalance(hosts, containers) <= stopAt)) return depth
    const next = new Map<string, (typeof level)[number]>()
    for (const { containers, moved: gone } of level) {
      const before = imbalance(hosts, containers)
      for (const each of containers) {
        if (gone.has(each.demand.name)) continue
        for (const to of hosts) {
          if (to === each.host || !hasRoom(containers, each, to)) continue
          const after = moved(containers, [{ container: each.demand.name, to }])
          const relief = before ** 2 - imbalance(hosts, after) ** 2
          if (relief <= 0 || Math.sqrt(2 * hosts.length * relief) < minGain) continue
          const key = after.map(({ host }) => host).join(' ')
          next.set(`${key} ${[...gone, each.demand.name].sort()}`, {
            containers: after,
            moved: new Set([...gone, each.demand.name]),
          })
        }
      }
    }
    level = [...next.values()]
  }
  return null
}

function hasRoom(containers: readonly ContainerSnapshot[], newcomer: ContainerSnapshot, host: string): boolean {
  const all = [...containers.filter((each) => each.host === host), newcomer]
  const sum = (key: 'cpuMilli' | 'memoryBytes') => all.reduce((total, { demand }) => total + demand.requests[key], 0)
  return sum('cpuMilli') <= capacity.cpuMilli && sum('memoryBytes') <= capacity.memoryBytes
}

/** Asked every so often, a bounded number of times a day. */
const roundsPerDay = 8
const days = 10_000

t.test('no ping-pong in 10,000 random days', async (t) => {
  const random = generator(20_110_303)
  const calm = { ...usualRebalancePolicy, maxConcurrent: 4, searchSteps: 1_000 }
  let moves = 0
  let returns = 0
  let rises = 0
  let early = 0
  let containerDays = 0
  let containers: ContainerSnapshot[] = []
  let history: MoveHistory = fresh
  for (let day = 0; day < days; day++) {
    // Each week a new cluster; its loads wander, jump and breathe with the day.
    if (day % 7 === 0) {
      history = fresh
      containers = Array.from({ length: 6 + Math.floor(random() * 6) }, (_, at) =>
        container(`w${at}`, names[Math.floor(random() ** 2 * 3)]!, {
          cpuMilli: 50 + random() * 900,
          memoryBytes: (50 + random() * 700) * MiB,
        }),
      )
    }
    containerDays += containers.length
    for (let round = 0; round < roundsPerDay; round++) {
      const nowMs = (day * 24 + (round * 24) / roundsPerDay) * hourMs
      const tide = 0.6 + 0.4 * Math.sin((2 * Math.PI * round) / roundsPerDay)
      const now = containers.map((each, at) => ({ ...each, use: used(each, at % 2 === 0 ? tide : 1 - tide, random) }))
      const plan = rebalance({ snapshot: cluster(names.slice(0, 3), now), containers: now }, history, calm, nowMs)
      if (plan.imbalanceAfter > plan.imbalanceBefore + 1e-9) rises += 1
      for (const { container, from, to } of plan.moves) {
        moves += 1
        const before = history.moves.filter((past) => past.container === container)
        if (before.some((past) => past.from === to && nowMs - past.atMs < 24 * hourMs)) returns += 1
        if (before.some((past) => nowMs - past.atMs < calm.containerCooldownMs)) early += 1
        history = { ...history, moves: [...history.moves, { container, from, to, atMs: nowMs, urgent: false }] }
      }
      history = { ...history, active: plan.active }
      containers = moved(containers, plan.moves)
    }
    history = { ...history, moves: history.moves.filter(({ atMs }) => atMs > (day - 2) * 24 * hourMs) }
  }
  t.equal(returns, 0, 'none goes back within a day to where it left')
  t.equal(early, 0, 'none moves again within its cooldown')
  t.equal(rises, 0, 'no plan makes the loads less even')
  t.ok(moves > days / 100, `it does move: ${moves} moves`)
  t.ok(moves / containerDays < 0.5, `${(moves / containerDays).toFixed(3)} moves per container and day`)
})

function used(each: ContainerSnapshot, tide: number, random: () => number) {
  const { requests } = each.demand
  const noise = 0.8 + 0.4 * random()
  return { cpuMilli: requests.cpuMilli * tide * noise, memoryBytes: requests.memoryBytes * (0.7 + 0.1 * random()) }
}

t.test('at loads that only tremble, a cluster that was evened stays as it is', async (t) => {
  const random = generator(7)
  const calm = { ...usualRebalancePolicy, maxConcurrent: 4 }
  let containers = Array.from({ length: 12 }, (_, at) =>
    container(`w${at}`, 'a', { cpuMilli: 300, memoryBytes: 300 * MiB }),
  )
  let history: MoveHistory = fresh
  let last = 0
  let count = 0
  for (let round = 0; round < 24 * 30; round++) {
    const nowMs = round * hourMs
    const now = containers.map((each) => ({
      ...each,
      use: { cpuMilli: 300 * (0.9 + 0.2 * random()), memoryBytes: 300 * MiB * (0.9 + 0.2 * random()) },
    }))
    const plan = rebalance({ snapshot: cluster(names.slice(0, 3), now), containers: now }, history, calm, nowMs)
    for (const { container, from, to } of plan.moves) {
      count += 1
      last = round
      history = { ...history, moves: [...history.moves, { container, from, to, atMs: nowMs, urgent: false }] }
    }
    history = { ...history, active: plan.active }
    containers = moved(containers, plan.moves)
  }
  t.ok(count >= 6 && count <= 10, `${count} moves even it`)
  t.ok(last < 24, `the last in hour ${last} of 720`)
})
