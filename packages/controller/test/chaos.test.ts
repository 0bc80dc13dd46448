// Seeded disorder: users, failures, lost messages, cut-off hosts, restarted agents and changing leaders in any order. At no
// moment does a container execute twice; when all is whole again, everything is as the committed state says, and two
// replicas that applied the same entries, one of them from a snapshot half way, are the same.

import fc from 'fast-check'
import t from 'tap'
import { apply } from '../src/core/apply.ts'
import { type ClusterState, decodeSnapshot, emptyState, encodeSnapshot } from '../src/core/state.ts'
import { ModelCluster } from './support/model-cluster.ts'

const hostNames = ['a', 'b', 'c'] as const
const containerNames = ['one', 'two', 'three'] as const

const host = fc.constantFrom(...hostNames)
const container = fc.constantFrom(...containerNames)
const action = fc.oneof(
  fc.record({ do: fc.constant('launch' as const), container, host }),
  fc.record({
    do: fc.constant('power' as const),
    container,
    kind: fc.constantFrom('start', 'stop', 'restart', 'freeze', 'thaw', 'delete'),
  }),
  fc.record({ do: fc.constant('evacuate' as const), host }),
  fc.record({ do: fc.constant('restore' as const), host }),
  fc.record({ do: fc.constant('cancel' as const), which: fc.nat(100) }),
  fc.record({ do: fc.constant('cut off' as const), host }),
  fc.record({ do: fc.constant('join again' as const), host }),
  fc.record({ do: fc.constant('lose messages to' as const), host }),
  fc.record({ do: fc.constant('restart agent' as const), host }),
  fc.record({ do: fc.constant('engine' as const), host, up: fc.boolean() }),
  fc.record({ do: fc.constant('end init' as const), container }),
  fc.record({ do: fc.constant('change leader' as const) }),
  fc.record({ do: fc.constant('pass time' as const), ms: fc.constantFrom(100, 3_000, 20_000, 61_000) }),
  fc.record({ do: fc.constant('pull' as const) }),
)
// Rounds, single acts and the moves that they are about are most of what happens.
const happening = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('round' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('report and plan' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('act' as const), host }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('move' as const), container, host, cold: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('late decision' as const), commit: fc.boolean(), which: fc.nat(100) }),
  },
  { weight: 12, arbitrary: action },
)
type Happening = typeof happening extends fc.Arbitrary<infer T> ? T : never

t.test('disorder never runs a container twice, and heals', async (t) => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 80, size: 'max' }), (happenings) => {
      const cluster = new ModelCluster(hostNames.map((name) => ({ name })))
      containerNames.forEach((name, index) => {
        cluster.launch(name, hostNames[index]!)
      })
      cluster.settle()
      happenings.forEach((each, index) => {
        carryOut(cluster, each, index)
        cluster.check()
      })
      heal(cluster)
      checkWhole(cluster)
      checkReplicas(cluster)
    }),
    { numRuns: Number(process.env.DROVER_CHAOS_RUNS ?? 800) },
  )
  t.pass()
})

function carryOut(cluster: ModelCluster, each: Happening, index: number): void {
  const atMs = cluster.nowMs
  const operation = `${index}`
  const named = 'container' in each && cluster.state.idsByName.has(each.container)
  switch (each.do) {
    case 'round':
      return void cluster.round()
    case 'report and plan':
      cluster.pass(1)
      return void cluster.plan()
    case 'launch':
      if (
        !named &&
        !cluster.state.tables.hosts.get(each.host)!.cordoned &&
        !cluster.state.tables.operations.has(`launch-${each.container}-${index}`)
      )
        cluster.launch(each.container, each.host, `launch-${each.container}-${index}`)
      return
    case 'move': {
      const placement = { chosen: each.host, reason: '', hosts: [] }
      const mode = each.cold ? 'cold' : 'live'
      cluster.propose({
        type: 'MoveStarted',
        atMs,
        operation,
        container: each.container,
        destination: each.host,
        mode,
        placement,
        parent: null,
      })
      return
    }
    case 'power': {
      const kind = each.kind as 'start'
      cluster.propose({ type: 'PowerRequested', atMs, operation, kind, container: each.container, stopTimeoutMs: null })
      return
    }
    case 'evacuate':
      return void cluster.propose({ type: 'EvacuationStarted', atMs, operation, host: each.host, parallel: 2 })
    case 'restore':
      return void cluster.propose({ type: 'HostCordonRequested', atMs, operation, kind: 'restore', host: each.host })
    case 'cancel': {
      const ids = [...cluster.state.running].sort()
      const id = ids[each.which % Math.max(ids.length, 1)]
      if (id !== undefined) cluster.propose({ type: 'CancelRequested', atMs, operation: id })
      return
    }
    case 'cut off':
      return void cluster.cutOff.add(each.host)
    case 'join again':
      cluster.cutOff.delete(each.host)
      return void cluster.lossy.delete(each.host)
    case 'lose messages to':
      return void cluster.lossy.add(each.host)
    case 'restart agent':
      return void cluster.hosts.get(each.host)!.restartAgent()
    case 'engine':
      cluster.hosts.get(each.host)!.engineUp = each.up
      return
    case 'end init': {
      const [at] = named ? cluster.executing(each.container) : []
      if (at !== undefined) cluster.hosts.get(at)!.end(cluster.container(each.container).id)
      return
    }
    case 'act':
      return void cluster.hosts.get(each.host)!.act()
    case 'change leader':
      return void cluster.changeLeader()
    case 'pass time':
      cluster.pass(each.ms)
      return void cluster.plan()
    case 'late decision':
      return void lateDecision(cluster, each.commit, each.which)
    case 'pull':
      return void cluster.pull()
  }
}

/** What a deposed leader had proposed arrives in the log now: an abort at any time, a commit once it was restored. */
function lateDecision(cluster: ModelCluster, commit: boolean, which: number): void {
  const moves = [...cluster.state.tables.operations.values()].filter(({ migration }) => migration !== null)
  const move = moves[which % Math.max(moves.length, 1)]
  if (!move?.migration) return
  const base = { atMs: cluster.nowMs, operation: move.id, figures: {} }
  const restored = cluster.hosts.get(move.migration.destination)!.steps.get(move.id)?.step === 'restored'
  if (!commit) cluster.propose({ type: 'MigrationAborted', ...base, error: { code: 'TIMED_OUT', message: 'late' } })
  else if (restored) cluster.propose({ type: 'MigrationCommitted', ...base })
}

/** Everything is connected again, and time passes until no operation waits. */
function heal(cluster: ModelCluster): void {
  cluster.cutOff.clear()
  cluster.lossy.clear()
  for (const host of cluster.hosts.values()) host.engineUp = true
  for (let waited = 0; waited < 40 && (waited < 3 || cluster.state.running.size > 0); waited += 1) {
    cluster.pass(20_000)
    cluster.settle()
  }
}

function checkWhole(cluster: ModelCluster): void {
  const { state } = cluster
  if (state.running.size > 0) throw new Error(`still under way: ${[...state.running].join(', ')}`)
  for (const container of state.tables.containers.values()) {
    const wanted = container.desired === 'running' ? [container.host] : []
    const executing = cluster.executing(container.name)
    const where = `${container.name} on ${container.host}, desired ${container.desired}, ${container.state}`
    if (executing.join() !== wanted.join()) throw new Error(`${where}: executes on [${executing.join()}]`)
    if (cluster.holding(container.name).join() !== container.host) {
      throw new Error(`${where}: traces on ${cluster.holding(container.name).join()}`)
    }
    if (container.state !== container.desired) throw new Error(`${where}: not as desired`)
    if (container.operation !== null) throw new Error(`${where}: locked by ${container.operation}`)
  }
  const known = new Set(state.tables.containers.keys())
  for (const host of cluster.hosts.values()) {
    for (const id of host.containers.keys()) if (!known.has(id)) throw new Error(`${id} is left on ${host.name}`)
    if (host.steps.size > 0) throw new Error(`${host.name} still reports steps of ended moves`)
  }
}

function checkReplicas(cluster: ModelCluster): void {
  const half = Math.floor(cluster.entries.length / 2)
  const whole = emptyState()
  let restored: ClusterState = emptyState()
  cluster.entries.forEach((entry, offset) => {
    const one = apply(whole, offset + 1, entry)
    const other = apply(restored, offset + 1, entry)
    if (JSON.stringify(one) !== JSON.stringify(other)) throw new Error(`replicas differ at ${offset + 1}`)
    if (offset === half) restored = decodeSnapshot(encodeSnapshot(restored))
  })
  const images = [cluster.state, whole, restored].map((state) => Buffer.from(encodeSnapshot(state)).toString())
  if (new Set(images).size !== 1) throw new Error('replicas that applied the same entries have different states')
}
