// Volumes in the committed state: who has one, where it is, what a host is told of it, and what never takes it along.

import type { Device, SetRequest } from '@drover/protocol'
import t from 'tap'
import { assignmentsOf, completeBatch } from '../src/core/assignments.ts'
import { whyNotHealed } from '../src/core/healing.ts'
import { volumeViews } from '../src/core/volumes.ts'
import { ModelCluster } from './support/model-cluster.ts'

const refused = (code: string, message: RegExp) => ({ ok: false, error: { error: { code, message } } })
const device = (volume: string, path = '/data'): Device => ({ type: 'volume', volume, path })

function cluster() {
  const made = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  made.launch('web', 'a')
  made.launch('db', 'a')
  made.launch('far', 'b')
  made.settle()
  let operations = 0
  const next = (operation?: string) => operation ?? `op-${operations++}`
  const set = (container: string, devices: NonNullable<SetRequest['devices']>, operation = next()) =>
    made.propose({ type: 'SetRequested', atMs: made.nowMs, operation, container, change: { devices } })
  const volume = (name: string, action: 'create' | 'delete') =>
    made.propose({ type: 'VolumeChanged', atMs: made.nowMs, operation: next(), name, action, request: {} })
  const view = (name: string) => volumeViews(made.state).find((each) => each.name === name)
  return { made, set, volume, view }
}

t.test(
  'a volume is nowhere until a container has it, then on its host, and is one container’s at a time',
  async (t) => {
    const { made, set, volume, view } = cluster()
    t.match(volume('data', 'create'), { ok: true })
    t.match(volume('data', 'create'), refused('NAME_TAKEN', /there is one/))
    t.match(view('data'), { host: null, container: null, made: false })
    t.match(set('web', { d: device('none') }), refused('VOLUME_NOT_FOUND', /none to web: there is none/))
    t.match(
      set('web', { d: device('data'), e: device('data', '/other') }),
      refused('VOLUME_IN_USE', /volume data twice/),
      'not twice in one',
    )
    set('web', { d: device('data') })
    const [own] = assignmentsOf(made.state, made.container('web'))
    const { id = '', copy = 0 } = view('data') ?? {}
    t.same(own?.assignment.volumes, { [id]: { copy, fresh: true } }, 'its host is to make it')
    made.settle()
    t.match(view('data'), { host: 'a', container: 'web', device: 'd', path: '/data', made: true })
    const [later] = assignmentsOf(made.state, made.container('web'))
    t.same(later?.assignment.volumes, { [id]: { copy, fresh: false } }, 'and from then on to have it')
    t.match(set('db', { d: device('data') }), refused('VOLUME_IN_USE', /web has it; .*drover volume detach data/))
    t.match(volume('data', 'delete'), refused('VOLUME_IN_USE', /web has it/))
  },
)

t.test('until its host has said that it is away it is still taken', async (t) => {
  const { made, set, volume, view } = cluster()
  volume('data', 'create')
  set('web', { d: device('data') })
  made.settle()
  set('web', { d: null }, 'detach')
  t.match(set('db', { d: device('data') }), refused('VOLUME_IN_USE', /web has it/), 'the change may yet be taken back')
  t.match(volume('data', 'delete'), refused('VOLUME_IN_USE', /web has it/))
  made.settle()
  t.match(made.operation('detach'), { state: 'done' })
  t.match(
    set('far', { d: device('data') }),
    refused('VOLUME_ELSEWHERE', /it is on a, far on b; drover move far a first/),
  )
  t.match(set('db', { d: device('data') }), { ok: true })
  made.settle()
  t.match(view('data'), { host: 'a', container: 'db' })
})

t.test(
  'it moves with its container: the copy that has arrived counts with the commit, and the other one goes',
  async (t) => {
    const { made, set, volume, view } = cluster()
    volume('data', 'create')
    set('web', { d: device('data') })
    made.settle()
    const { id = '', copy: first = 0 } = view('data') ?? {}
    made.move('web', 'b', 'live', 'move')
    const arriving = Number(made.operation('move').parameters.volumeCopy)
    t.not(arriving, first)
    const told = new Map(assignmentsOf(made.state, made.container('web')).map((each) => [each.host, each.assignment]))
    t.same(told.get('a')?.volumes?.[id]?.copy, first)
    t.same(told.get('b')?.volumes?.[id], { copy: arriving, fresh: false })
    const dropped = (host: string) =>
      completeBatch(made.state, host, 1, {
        volumes: [
          { id, copy: first },
          { id, copy: arriving },
        ],
      }).dropVolumes
    t.same(dropped('b'), [], 'neither goes while it moves')
    made.settle()
    t.match(view('data'), { host: 'b', container: 'web', copy: arriving })
    t.same(dropped('a'), [{ id, copy: first }], 'of before the move')
    t.match(set('db', { e: device('data') }), refused('VOLUME_IN_USE', /web has it/))
    set('web', { d: null })
    made.settle()
    t.match(view('data'), { host: 'b', container: null })
    t.match(set('far', { d: device('data') }), { ok: true }, 'one there can have it')
  },
)

t.test('a move that comes to nothing leaves it where it is', async (t) => {
  const { made, set, volume, view } = cluster()
  volume('data', 'create')
  set('web', { d: device('data') })
  made.settle()
  const { id = '', copy = 0 } = view('data') ?? {}
  made.move('web', 'b', 'live', 'move')
  const arriving = Number(made.operation('move').parameters.volumeCopy)
  made.must({ type: 'CancelRequested', atMs: made.nowMs, operation: 'move' })
  made.settle()
  t.match(made.operation('move').state, /cancelled|failed/)
  t.match(view('data'), { host: 'a', copy, container: 'web' })
  const batch = completeBatch(made.state, 'b', 1, { volumes: [{ id, copy: arriving }] })
  t.same(batch.dropVolumes, [{ id, copy: arriving }], 'what had arrived goes')
})

t.test('deleting its container frees it; deleting it has its host remove the directory, and no other', async (t) => {
  const { made, set, volume, view } = cluster()
  volume('data', 'create')
  set('web', { d: device('data') })
  made.settle()
  const { id = '', copy = 0 } = view('data') ?? {}
  made.must({
    type: 'PowerRequested',
    atMs: made.nowMs,
    operation: 'bye',
    kind: 'delete',
    container: 'web',
    stopTimeoutMs: null,
  })
  made.settle()
  t.notOk(made.state.idsByName.has('web'))
  t.match(view('data'), { host: 'a', container: null })
  const drop = (there: { id: string; copy: number }[]) =>
    completeBatch(made.state, 'a', 1, { volumes: there }).dropVolumes
  t.same(drop([{ id, copy }]), [], 'it is still there')
  t.match(volume('data', 'delete'), { ok: true })
  t.match(volume('data', 'delete'), refused('VOLUME_NOT_FOUND', /there is none/))
  t.same(drop([{ id, copy }]), [{ id, copy }])
  t.same(drop([{ id: `v${made.state.index + 1}`, copy: 1 }]), [], 'one that this state never made is not its to judge')
})

t.test('copies, profiles, snapshots with memory and healing leave volumes out', async (t) => {
  const { made, set, volume } = cluster()
  volume('data', 'create')
  set('web', { d: device('data'), zero: { type: 'char', source: '/dev/zero' } })
  made.settle()
  const atMs = made.nowMs
  t.match(
    made.propose({
      type: 'ProfileChanged',
      atMs,
      operation: 'profile',
      name: 'p',
      action: 'create',
      request: { settings: { devices: { d: device('data') } } },
    }),
    refused('BAD_REQUEST', /device d is a volume, which one container alone may have/),
  )
  t.match(
    made.propose({
      type: 'SnapshotRequested',
      atMs,
      operation: 'snapshot',
      container: 'web',
      name: 's',
      memory: true,
      expiresAtMs: null,
      scheduled: false,
    }),
    refused('NOT_MIGRATABLE', /volumes, which are in no snapshot/),
  )
  const { placement } = made.container('web')
  made.must({
    type: 'ContainerCopied',
    atMs,
    operation: 'copy',
    container: 'web',
    snapshot: null,
    name: 'copy',
    host: 'a',
    machineId: '0'.repeat(32),
    network: '10.77.0.0/16',
    gateway: null,
    start: false,
    placement,
  })
  t.same(made.container('copy').spec.devices, { zero: { type: 'char', source: '/dev/zero' } })
  made.settle()
  made.state.tables.losses.set('a', { sinceMs: made.nowMs, sure: true, fresh: true })
  t.match(whyNotHealed(made.state, made.container('web')), /its volume data is on a/)
})
