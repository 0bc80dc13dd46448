// When an agent says everything: at first, and for a controller that wants it, however many want it at once.

import { setTimeout as pause } from 'node:timers/promises'
import { type HostReport, subjects } from '@drover/protocol'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { Bus } from '../src/bus.ts'
import { secret, TestCluster, withoutNats } from './harness.ts'

const cluster = 'wanted'
const log = { debug() {}, info() {}, warn() {}, error() {} }

async function listening(test: Pick<typeof t, 'teardown'>) {
  const { servers } = await TestCluster.start(test)
  const controller = await connect({ servers, token: secret })
  test.teardown(() => controller.close())
  const said: boolean[] = []
  const bus = new Bus({
    cluster,
    host: 'a',
    session: 1,
    servers,
    secret,
    tls: null,
    log,
    hosts: false,
    report: (everything) => {
      said.push(everything)
      return {} as HostReport
    },
    take() {},
  })
  bus.start()
  test.teardown(() => bus.close())
  const until = async (holds: () => boolean) => {
    for (let waited = 0; !holds() && waited < 1_000; waited++) await pause(20)
  }
  await until(() => said.length > 0)
  return {
    said,
    until,
    everythings: () => said.filter(Boolean).length,
    want: (wanted: unknown) => controller.publish(subjects.reportsWanted(cluster), JSON.stringify(wanted)),
  }
}

t.test('bus: everything is said when it is wanted, and else what is new', { skip: withoutNats }, async (t) => {
  const { said, until, everythings, want } = await listening(t)
  t.equal(said[0], true, 'the first time as well')
  await until(() => said.length >= 3)
  t.equal(everythings(), 1, 'a heartbeat is no reason')
  for (const nonsense of [{}, { cluster: 'another' }, { cluster, host: 'b' }, { cluster, host: 7 }]) want(nonsense)
  const before = said.length
  await until(() => said.length >= before + 2)
  t.equal(everythings(), 1)
  want({ cluster, host: 'a' })
  await until(() => everythings() === 2)
  t.equal(everythings(), 2)
  want({ cluster })
  await until(() => everythings() === 3)
  t.equal(everythings(), 3, 'when it is wanted of all hosts, too')
})

t.test('bus: many who want it at once get one or two', { skip: withoutNats }, async (t) => {
  const { said, until, everythings, want } = await listening(t)
  for (let controller = 0; controller < 50; controller++) want({ cluster, host: 'a' })
  await until(() => everythings() >= 2)
  const before = said.length
  await until(() => said.length >= before + 3)
  t.ok(everythings() <= 3, 'and a second one when they were not heard all at once')
})
