// What hosts say of a container's memory: committed, told once as events, and minded by what is asked for then.

import type { MemoryPressure } from '@drover/protocol'
import t from 'tap'
import { ModelCluster } from './support/model-cluster.ts'

const calm: MemoryPressure = { nearLimit: false, frozenAtLimit: false, oomKills: 0, killed: null }

function cluster() {
  const made = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  made.launch('web', 'a')
  made.settle()
  const seen = () => made.hosts.get('a')!.containers.get(made.container('web').id)!
  const says = (memory: Partial<MemoryPressure>, more: Partial<ReturnType<typeof seen>> = {}) => {
    made.hosts.get('a')!.containers.set(seen().container, { ...seen(), memory: { ...calm, ...memory }, ...more })
    const before = made.events.length
    made.settle()
    return made.events.slice(before).map(({ kind, message }) => `${kind}: ${message}`)
  }
  return { made, says }
}

t.test('memory: nearness, kills and a freeze are told once each, when they begin', async (t) => {
  const { made, says } = cluster()
  t.same(says({}), [])
  t.match(says({ nearLimit: true }), [/^container.memory-near-limit: web on a/])
  t.match(made.container('web'), { state: 'running', memory: { nearLimit: true } })
  t.match(says({ nearLimit: true, oomKills: 1, killed: 'java' }), [/^container.oom-killed: .* killed java$/])
  t.match(says({ oomKills: 3, killed: 'java' }), [/killed java \(one of 2\)$/])
  t.match(says({ oomKills: 4 }), [/killed 1 of its processes$/])
  t.same(
    says({ oomKills: 4 }, { starts: 2 }).filter((line) => line.includes('oom')),
    [],
    'a reboot is no kill',
  )
  t.same(
    says({ oomKills: 0 }, { starts: 3 }).filter((line) => line.includes('oom')),
    [],
    'a new start counts from zero',
  )
  t.match(made.container('web').oomKills, { total: 4, last: null }, 'and none is forgotten')
  t.match(says({ oomKills: 1, killed: 'java' }, { starts: 3 }), [/killed java$/])
  t.match(made.container('web').oomKills, { total: 5, last: 'java', lastAtMs: made.nowMs })
})

t.test('memory: a container frozen at its limit is not thawed or moved by hand, but let go by its limit', async (t) => {
  const { made, says } = cluster()
  const told = says({ nearLimit: true, frozenAtLimit: true }, { state: 'frozen' })
  t.ok(
    told.some((line) => line.startsWith('container.memory-frozen: ')),
    told.join(),
  )
  t.match(made.container('web'), { state: 'frozen', desired: 'running', memory: { frozenAtLimit: true } })
  const thaw = {
    type: 'PowerRequested',
    operation: 'thaw-web',
    kind: 'thaw',
    container: 'web',
    stopTimeoutMs: null,
  } as const
  t.match(made.propose({ ...thaw, atMs: made.nowMs }), {
    ok: false,
    error: { error: { code: 'WRONG_STATE', message: /memory=/ } },
  })
  const change = { limits: { memoryBytes: 2 ** 30 } }
  t.match(made.propose({ type: 'SetRequested', atMs: made.nowMs, operation: 'set-web', container: 'web', change }), {
    ok: true,
  })
  t.match(says({}, { state: 'running' }).join('\n'), /container.running: web on a/)
  made.settle()
  t.match(made.operation('set-web'), { state: 'done' })
  t.match(made.container('web'), { state: 'running', memory: calm })
})
