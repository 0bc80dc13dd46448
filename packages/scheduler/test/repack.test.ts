// Emptying hosts of a packed cluster: every move finds its room, nothing is lost, and what is asked to stay stays.

import { type ClusterSnapshot, type Demand, place, repack, withoutPlaced, withPlaced } from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { demand, host } from './cluster.ts'

const sized = (name: string, cpuMilli: number, memoryBytes: number): Demand =>
  demand({ name, requests: { cpuMilli, memoryBytes, diskBytes: 0, pids: 0 } })

function cluster(placed: readonly [host: string, demand: Demand][], movable = true): ClusterSnapshot {
  const capacity = { cpuMilli: 100, memoryBytes: 100, diskBytes: 10, pids: 10 }
  const names = [...new Set(placed.map(([name]) => name))].sort()
  let snapshot: ClusterSnapshot = { hosts: names.map((name) => host(name, { capacity })) }
  for (const [name, each] of placed) snapshot = withPlaced(snapshot, name, each)
  return { ...snapshot, containers: placed.map(([name, each]) => ({ host: name, demand: each, movable })) }
}

t.test('holes that are too small for what there is are joined by exchanges', async (t) => {
  // 60 fits beside neither 60 nor 50; but for 50 going to 40 …
  const placed: [string, Demand][] = [
    ['a', sized('a1', 60, 10)],
    ['a', sized('a2', 30, 10)],
    ['b', sized('b1', 50, 10)],
    ['b', sized('b2', 20, 10)],
    ['c', sized('c1', 40, 10)],
  ]
  const { emptied, moves } = repack(cluster(placed))
  t.equal(emptied.length, 1, 'two hosts hold 200 of 200')
  t.ok(moves.length >= 2)
})

t.test('limits on moves and hosts, and containers that must stay, are kept to', async (t) => {
  const placed: [string, Demand][] = ['a', 'b', 'c', 'd'].map((name) => [name, sized(name, 20, 20)])
  t.equal(repack(cluster(placed)).emptied.length, 3)
  t.equal(repack(cluster(placed), { maxEmptied: 1 }).emptied.length, 1)
  t.same(repack(cluster(placed), { maxMoves: 0 }), { moves: [], emptied: [] })
  t.same(repack(cluster(placed, false)), { moves: [], emptied: [] })
})

t.test('property: each move finds room when its turn comes, and the emptied hosts are empty', async () => {
  const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 })), { maxLength: 30 })
  fc.assert(
    fc.property(sizes, fc.integer(), (list, seed) => {
      const capacity = { cpuMilli: 100, memoryBytes: 100, diskBytes: 10, pids: 10 }
      let spread: ClusterSnapshot = {
        hosts: list.map((_, index) => host(`h${index}`, { capacity })),
        pools: { default: { policy: 'spread' } },
      }
      spread = { ...spread, hosts: spread.hosts.slice(0, Math.ceil(list.length / 2) + 2) }
      const placed: [string, Demand][] = []
      for (const [index, [cpu, memory]] of list.entries()) {
        const each = sized(`c${index}`, cpu, memory)
        const to = place(spread, each, seed).host
        if (to === null) continue
        spread = withPlaced(spread, to, each)
        placed.push([to, each])
      }
      let state = cluster(placed)
      const { moves, emptied } = repack(state)
      const where = new Map(placed.map(([name, each]) => [each.name, { name, each }]))
      for (const { container, from, to } of moves) {
        const { name, each } = where.get(container)!
        if (name !== from) throw new Error(`${container} is on ${name}, not ${from}`)
        if (place(state, { ...each, host: to }, 1).host !== to) throw new Error(`${container} has no room on ${to}`)
        state = withPlaced(withoutPlaced(state, from, each), to, each)
        where.set(container, { name: to, each })
      }
      return emptied.every((name) => [...where.values()].every((each) => each.name !== name))
    }),
    { numRuns: 100 },
  )
})
