// Room by stopping: never who is as important or may not be stopped, never where moving is enough, and never more or more important ones than
// a search through every set of victims finds.

import {
  type ClusterSnapshot,
  type Demand,
  makeRoom,
  type PlacedContainer,
  place,
  withStopped,
} from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { demand, host } from './cluster.ts'

const runs = 2_000
const capacity = 8
const amounts = (size: number, disk = 0) => ({ cpuMilli: 0, memoryBytes: size, diskBytes: disk, pids: 0 })

interface Sized {
  at: number
  size: number
  disk: number
  priority: number
  movable: boolean
  stoppable: boolean
}

const anySized: fc.Arbitrary<Sized> = fc.record({
  at: fc.nat(2),
  size: fc.integer({ min: 1, max: 4 }),
  disk: fc.nat(2),
  priority: fc.nat(4),
  movable: fc.boolean(),
  stoppable: fc.boolean(),
})

/** Three hosts, filled as far as they go; what doesn't fit is left out. */
function clusterOf(all: readonly Sized[]): ClusterSnapshot & { containers: PlacedContainer[] } {
  const containers: PlacedContainer[] = []
  const requested = [amounts(0), amounts(0), amounts(0)]
  for (const [index, { at, size, disk, priority, movable, stoppable }] of all.entries()) {
    const used = requested[at]!
    if (used.memoryBytes + size > capacity || used.diskBytes + disk > capacity) continue
    used.memoryBytes += size
    used.diskBytes += disk
    const asked = demand({ name: `c${index}`, priority, requests: amounts(size, disk) })
    containers.push({ host: `h${at}`, demand: asked, movable, stoppable })
  }
  const hosts = requested.map((each, index) =>
    host(`h${index}`, { capacity: amounts(capacity, capacity), requested: each }),
  )
  return { hosts, containers }
}

const anyCluster = fc.array(anySized, { minLength: 4, maxLength: 14 }).map(clusterOf)
const anyNew = fc
  .record({ size: fc.integer({ min: 3, max: 8 }), disk: fc.nat(4), priority: fc.nat(5) })
  .map(({ size, disk, priority }) => demand({ name: 'new', priority, requests: amounts(size, disk) }))

const find = (cluster: { containers: PlacedContainer[] }, name: string) =>
  cluster.containers.find((each) => each.demand.name === name)!

function unstoppable<Cluster extends { containers: PlacedContainer[] }>(cluster: Cluster): Cluster {
  return { ...cluster, containers: cluster.containers.map((each) => ({ ...each, stoppable: false })) }
}

t.test('stopped: only who may be, and is less important than the one that comes', async () => {
  let stops = 0
  fc.assert(
    fc.property(anyCluster, anyNew, (cluster, asked) => {
      const plan = makeRoom(cluster, asked, 1)
      stops += plan?.stopped.length ?? 0
      return (plan?.stopped ?? []).every(({ container, priority }) => {
        const { demand: victim, host, stoppable } = find(cluster, container)
        return stoppable && host === plan!.host && victim.priority === priority && priority < asked.priority!
      })
    }),
    { numRuns: runs, seed: 1 },
  )
  t.ok(stops > 100, `${stops} were stopped`)
})

t.test('stopped: nobody where moves are enough', async () => {
  let moved = 0
  fc.assert(
    fc.property(anyCluster, anyNew, (cluster, asked) => {
      const byMoving = makeRoom(unstoppable(cluster), asked, 1)
      if (byMoving === null) return true
      moved += byMoving.moves.length
      return makeRoom(cluster, asked, 1)!.stopped.length === 0
    }),
    { numRuns: runs, seed: 2 },
  )
  t.ok(moved > 100, `${moved} were moved`)
})

t.test('stopped: the least important, and then the fewest, that a search through every set finds', async () => {
  let stopped = 0
  let several = 0
  fc.assert(
    fc.property(anyCluster, anyNew, (cluster, asked) => {
      const fixed = { ...cluster, containers: cluster.containers.map((each) => ({ ...each, movable: false })) }
      const plan = makeRoom(fixed, asked, 1)
      const best = bestByForce(fixed, asked)
      if (plan === null || best === null) return plan === null && best === null
      stopped += plan.stopped.length > 0 ? 1 : 0
      several += plan.stopped.length > 1 ? 1 : 0
      return costOf(plan.stopped.map(({ priority }) => priority)) === best
    }),
    { numRuns: runs, seed: 3 },
  )
  t.ok(stopped > 100 && several > 20, `${stopped} plans stopped somebody, ${several} more than one`)
})

t.test('stopped: each of them is needed, whatever moves besides', async () => {
  let mixed = 0
  fc.assert(
    fc.property(anyCluster, anyNew, (cluster, asked) => {
      const plan = makeRoom(cluster, asked, 1)
      if (plan === null || plan.stopped.length === 0) return true
      mixed += plan.moves.length > 0 ? 1 : 0
      return plan.stopped.every(({ container: spared }) => {
        const others = plan.stopped.filter(({ container }) => container !== spared)
        const before = others.reduce(
          (state, { container }) => withStopped(state, plan.host, find(cluster, container).demand),
          cluster as ClusterSnapshot,
        )
        const left = cluster.containers.filter(
          ({ demand: { name } }) => !others.some((each) => each.container === name),
        )
        const there = { ...unstoppable({ ...before, containers: left }) }
        return makeRoom(there, { ...asked, host: plan.host }, 1) === null
      })
    }),
    { numRuns: runs, seed: 4 },
  )
  t.ok(mixed > 10, `${mixed} plans moved and stopped`)
})

t.test('stopped: the plan makes the room that it says', async () => {
  fc.assert(
    fc.property(anyCluster, anyNew, (cluster, asked) => {
      const plan = makeRoom(cluster, asked, 1)
      if (plan === null) return true
      const used = new Map(cluster.hosts.map(({ name, requested }) => [name, { ...requested }]))
      for (const { container, from, to } of plan.moves) {
        const { requests } = find(cluster, container).demand
        used.get(from)!.memoryBytes -= requests.memoryBytes
        used.get(from)!.diskBytes -= requests.diskBytes
        used.get(to)!.memoryBytes += requests.memoryBytes
        used.get(to)!.diskBytes += requests.diskBytes
      }
      for (const { container } of plan.stopped) {
        used.get(plan.host)!.memoryBytes -= find(cluster, container).demand.requests.memoryBytes
      }
      const there = used.get(plan.host)!
      return (
        [...used.values()].every((each) => each.memoryBytes <= capacity && each.diskBytes <= capacity) &&
        there.memoryBytes + asked.requests.memoryBytes <= capacity &&
        there.diskBytes + asked.requests.diskBytes <= capacity
      )
    }),
    { numRuns: runs, seed: 5 },
  )
})

t.test('stopped: on a host with more of them than are searched through, nobody in vain', async (t) => {
  const sizes = [1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4, 5]
  const containers = sizes.map((size, index) => ({
    host: 'a',
    demand: demand({ name: `c${index}`, priority: 0, requests: amounts(size) }),
    movable: false,
    stoppable: true,
  }))
  const memoryBytes = sizes.reduce((sum, each) => sum + each, 0)
  const cluster = {
    hosts: [host('a', { capacity: amounts(memoryBytes), requested: amounts(memoryBytes) })],
    containers,
  }
  const plan = makeRoom(cluster, demand({ name: 'new', priority: 1, requests: amounts(9) }), 1)
  t.same(plan?.stopped.map(({ container }) => container).sort(), ['c10', 'c11'])
})

/** The least cost over every host and every set of those that may be stopped there; null: none will do. */
function bestByForce(cluster: ClusterSnapshot & { containers: PlacedContainer[] }, asked: Demand): string | null {
  let best: string | null = null
  for (const { name } of cluster.hosts) {
    const mayStop = cluster.containers.filter(
      (each) => each.host === name && each.stoppable && each.demand.priority! < asked.priority!,
    )
    for (let set = 0; set < 2 ** mayStop.length; set += 1) {
      const stopped = mayStop.filter((_, index) => set & (1 << index))
      const after = stopped.reduce((state, each) => withStopped(state, name, each.demand), cluster as ClusterSnapshot)
      if (place(after, { ...asked, host: name }, 1).host === null) continue
      const cost = costOf(stopped.map((each) => each.demand.priority!))
      if (best === null || cost < best) best = cost
    }
  }
  return best
}

/** As text that sorts: highest priority, number, sum. Nobody is cheapest. */
const costOf = (priorities: readonly number[]): string =>
  [Math.max(-1, ...priorities) + 1, priorities.length, priorities.reduce((sum, each) => sum + each, 0)]
    .map((each) => String(each).padStart(3, '0'))
    .join()
