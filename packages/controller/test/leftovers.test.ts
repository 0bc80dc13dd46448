// What hosts are told of the layers that they keep of containers which have left.

import t from 'tap'
import { completeBatch } from '../src/core/assignments.ts'
import { ModelCluster } from './support/model-cluster.ts'

const operationOf = (serial: number) => `op-${String(serial).padStart(12, '0')}`

t.test(
  'leftovers: those of containers that are gone are dropped, and a host keeps as much as its operator says',
  async (t) => {
    const cluster = new ModelCluster([{ name: 'a' }, { name: 'b' }])
    cluster.launch('web', 'a')
    cluster.settle()
    const [id] = [...cluster.state.tables.containers.keys()] as [string]
    const told = () =>
      completeBatch(cluster.state, 'b', 1, {
        leftovers: [
          { container: id, bytes: 1 },
          { container: 'c999', bytes: 1 },
        ],
      }).leftovers
    t.same(told(), { mostBytes: null, drop: ['c999'] })
    const set = (leftoverBytes: number | null) =>
      cluster.must({
        type: 'HostSet',
        atMs: cluster.nowMs,
        operation: operationOf(leftoverBytes === null ? 2 : 1),
        host: 'b',
        change: { leftoverBytes },
      })
    set(0)
    t.equal(told()?.mostBytes, 0)
    set(null)
    t.equal(told()?.mostBytes, null)
  },
)
