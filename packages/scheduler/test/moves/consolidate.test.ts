// Emptying whole hosts, and deciding between room here and another machine.

import {
  type ConsolidationPolicy,
  consolidate,
  decideRoom,
  type MachineShape,
  type ProvisionPolicy,
  usualMoveModel,
  usualProvisionPolicy,
} from '@drover/scheduler'
import fc from 'fast-check'
import t from 'tap'
import { demand, GiB, host, MiB } from '../cluster.ts'
import { cluster, container, moved } from './containers.ts'

const names = ['a', 'b', 'c']
const policy: ConsolidationPolicy = {
  spareHosts: 0,
  fillTo: 1,
  maxMoves: 100,
  emptyBelow: 1,
  maxTried: 10,
  afterwards: 'power-down',
  moveModel: usualMoveModel,
}

t.test('the host that is quickest to empty is emptied onto hosts in use', async (t) => {
  const containers = [
    container('w1', 'a', { memoryBytes: 2 * GiB }),
    container('w2', 'b', { memoryBytes: GiB }),
    container('w3', 'b', { memoryBytes: GiB }),
  ]
  const plan = consolidate(cluster(names, containers), containers, policy)
  t.match(plan, {
    emptied: [{ host: 'a', moves: [{ container: 'w1', to: 'b' }], afterwards: 'power-down' }],
    idle: ['c'],
    hostsBefore: 2,
    hostsAfter: 1,
  })
})

t.test('half an emptied host is a loss: it is all or none', async (t) => {
  const containers = [
    container('w1', 'a', { memoryBytes: 2 * GiB }),
    container('w2', 'a', { memoryBytes: 2 * GiB }),
    container('w3', 'b', { memoryBytes: 1.5 * GiB }),
    container('w4', 'c', { memoryBytes: 3 * GiB }),
    { ...container('w5', 'b', { memoryBytes: MiB }), movable: false, fixed: 'it has a device of b' },
  ]
  const plan = consolidate(cluster(names, containers), containers, policy)
  t.same(plan.emptied, [])
  t.match(plan.kept, [
    { host: 'c', reason: 'no other host in use can take w4' },
    { host: 'a', reason: 'no other host in use can take w2' },
    { host: 'b', reason: 'w5 stays: it has a device of b' },
  ])
})

t.test('its limits', async (t) => {
  const containers = [
    container('w1', 'a', { memoryBytes: GiB }),
    container('w2', 'b', { memoryBytes: GiB }),
    container('w3', 'b', { memoryBytes: GiB }),
  ]
  const snapshot = cluster(names, containers)
  t.match(consolidate(snapshot, containers, { ...policy, fillTo: 0.7 }).emptied, [])
  t.match(consolidate(snapshot, containers, { ...policy, emptyBelow: 0.2 }), { emptied: [], kept: [] })
  t.match(consolidate(snapshot, containers, { ...policy, spareHosts: 1 }).idle, [])
  t.match(consolidate(snapshot, containers, { ...policy, maxMoves: 0 }).emptied, [])
  const rests = { containers: new Set(['w1']), hosts: new Set<string>() }
  t.match(consolidate(snapshot, containers, policy, rests).emptied, [{ host: 'b' }], 'w1 was moved not long ago')
})

t.test('for any cluster: emptied hosts end empty, nothing is overfull, and never more hosts are used', async (t) => {
  const any = fc.array(fc.record({ on: fc.nat(4), memory: fc.integer({ min: 1, max: 24 }) }), { maxLength: 16 })
  fc.assert(
    fc.property(any, fc.nat(6), (list, maxMoves) => {
      const all = ['a', 'b', 'c', 'd', 'e']
      const used = new Map<string, number>()
      const containers = list.flatMap(({ on, memory }, at) => {
        const sum = (used.get(all[on]!) ?? 0) + memory
        if (sum > 32) return []
        used.set(all[on]!, sum)
        return [container(`w${at}`, all[on]!, { cpuMilli: 1, memoryBytes: 128 * MiB * memory })]
      })
      const plan = consolidate(cluster(all, containers), containers, { ...policy, maxMoves })
      const moves = plan.emptied.flatMap((each) => each.moves)
      const after = moved(containers, moves)
      const empty = plan.emptied.every((each) => after.every((one) => one.host !== each.host))
      const fits = all.every(
        (name) =>
          after.filter((one) => one.host === name).reduce((sum, one) => sum + one.demand.requests.memoryBytes, 0) <=
          4 * GiB,
      )
      const inUse = new Set(after.map((one) => one.host)).size
      return empty && fits && moves.length <= maxMoves && inUse === plan.hostsAfter && inUse <= plan.hostsBefore
    }),
    { numRuns: 300 },
  )
  t.pass()
})

t.test('room here, or another machine?', async (t) => {
  const shape = (name: string, memory: number, price: number): MachineShape => ({
    name,
    capacity: { ...host('x').capacity, memoryBytes: memory * GiB },
    price,
  })
  const offers: ProvisionPolicy = { ...usualProvisionPolicy, shapes: [shape('small', 4, 1), shape('large', 16, 3)] }
  const wants = (name: string, memory: number) =>
    demand({ name, requests: { cpuMilli: 1, memoryBytes: memory * GiB, diskBytes: 0, pids: 1 } })
  const containers = [
    container('way', 'a', { memoryBytes: GiB }),
    container('full', 'a', { memoryBytes: 2 * GiB }),
    container('other', 'b', { memoryBytes: 2.5 * GiB }),
  ]
  const snapshot = cluster(['a', 'b'], containers)
  t.test('what fits is placed', async (t) => {
    t.match(decideRoom(snapshot, containers, [wants('n', 1)], offers, 1), {
      decisions: [{ kind: 'fits', host: 'a' }],
      requests: [],
    })
  })
  t.test('a few moves make room', async (t) => {
    t.match(decideRoom(snapshot, containers, [wants('n', 2)], offers, 1), {
      decisions: [{ kind: 'make-room', host: 'a', moves: [{ container: 'way', from: 'a', to: 'b' }] }],
      requests: [],
    })
  })
  t.test('…unless their blackout is worth more than a machine', async (t) => {
    const plan = decideRoom(snapshot, containers, [wants('n', 2)], { ...offers, maxBlackoutMs: 1 }, 1)
    t.match(plan, { decisions: [{ kind: 'provision', shape: 'small' }], requests: [{ shape: 'small', machines: 1 }] })
  })
  t.test('pending demands share the cheapest machines that hold them all', async (t) => {
    const pending = [wants('p', 4), wants('q', 3), wants('r', 3), wants('s', 4)]
    const plan = decideRoom(cluster([], []), [], pending, offers, 1)
    t.same(plan.requests, [{ shape: 'large', machines: 1, pending: ['p', 'q', 'r', 's'] }])
  })
  t.test('no machine is asked for by a project that is over its quota', async (t) => {
    const used = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0, containers: 3 }
    const projects = { lab: { quota: { containers: 3 }, used } }
    const pending = [{ ...wants('n', 1), project: 'lab' }]
    const plan = decideRoom({ ...snapshot, projects }, containers, pending, offers, 1)
    t.match(plan, { decisions: [{ kind: 'refuse', reason: /lab/ }], requests: [] })
  })
  t.test('what no machine on offer holds is refused by name', async (t) => {
    const plan = decideRoom(snapshot, containers, [wants('huge', 20)], offers, 1)
    t.same(plan.requests, [])
    t.match(plan.decisions, [{ kind: 'refuse', reason: /no machine on offer holds it \(small, large; at most 16\)/ }])
  })
})
