// Devices in the committed state: changed by set, and what they mean for a move.

import type { SetRequest } from '@drover/protocol'
import t from 'tap'
import { ModelCluster } from './support/model-cluster.ts'

function cluster() {
  const made = new ModelCluster([{ name: 'a' }, { name: 'b' }])
  made.launch('web', 'a')
  made.settle()
  const set = (devices: NonNullable<SetRequest['devices']>, operation: string) => {
    const answer = made.propose({
      type: 'SetRequested',
      atMs: made.nowMs,
      operation,
      container: 'web',
      change: { devices },
    })
    made.settle()
    return answer
  }
  return { made, set }
}

t.test('devices are added, replaced and removed by name; removing one that is not there is refused', async (t) => {
  const { made, set } = cluster()
  set({ zero: { type: 'char', source: '/dev/zero' }, kvm: { type: 'char', source: '/dev/kvm' } }, 'one')
  set({ kvm: null, zero: { type: 'char', source: '/dev/zero', readonly: true } }, 'two')
  t.match(made.operation('two'), { state: 'done' })
  t.same(made.container('web').spec.devices, { zero: { type: 'char', source: '/dev/zero', readonly: true } })
  t.match(set({ kvm: null }, 'three'), {
    ok: false,
    error: { error: { code: 'DEVICE_NOT_FOUND', message: /no device kvm/ } },
  })
})

t.test('a device of one host refuses a move by its name; one without state moves along', async (t) => {
  const { made, set } = cluster()
  set({ kvm: { type: 'char', source: '/dev/kvm' } }, 'one')
  t.throws(() => made.move('web', 'b'), /NOT_MIGRATABLE.*devices pin it to a: kvm \(\/dev\/kvm/)
  made.settle()
  t.equal(made.container('web').host, 'a')
  set({ kvm: null, zero: { type: 'char', source: '/dev/zero' } }, 'two')
  made.move('web', 'b', 'live', 'later')
  made.settle()
  t.match(made.container('web'), { host: 'b', spec: { devices: { zero: { source: '/dev/zero' } } } })
})
