// When a report is read: as soon as somebody looks, at the latest after 2 s, and never when a newer one came before that.

import type { DroverError, HostChanges, HostReport } from '@drover/protocol'
import t, { type Test } from 'tap'
import { Reports } from '../src/shell/reports.ts'
import { ModelHost } from './support/model-host.ts'

const host = new ModelHost({ name: 'a', wire: { sent: new Set() } })
const bytesOf = (report: HostReport | HostChanges) => Buffer.from(JSON.stringify(report))
/** Begins like a report and is none. */
const damaged = () => bytesOf(host.report()).subarray(0, 200)

function listen(t: Test) {
  const refused: DroverError[] = []
  const missing: string[] = []
  const reports = new Reports('test', 0, {
    refused: (error) => refused.push(error),
    missing: (name) => missing.push(name),
  })
  t.equal(reports.receive(bytesOf(host.report()), 1_000), 'a')
  return { reports, refused, missing }
}

t.test('reports: what was replaced before anybody looked is never read', async (t) => {
  const { reports, refused } = listen(t)
  t.equal(reports.receive(damaged(), 1_100), 'a')
  const last = host.report()
  t.equal(reports.receive(bytesOf(last), 1_200), 'a')
  t.match(reports.reports.get('a'), { report: { sequence: last.sequence }, receivedAtMs: 1_200 })
  t.same(refused, [])
})

t.test('reports: nonsense that shows only when it is read is told, and the report before it stays', async (t) => {
  const { reports, refused } = listen(t)
  const before = reports.reports.get('a')
  reports.receive(damaged(), 1_100)
  t.equal(reports.reports.get('a'), before)
  t.match(refused, [{ code: 'BAD_REQUEST' }])
})

t.test('reports: one that nobody looks at is read all the same once the last one read is 2 s old', async (t) => {
  const { reports, refused } = listen(t)
  reports.receive(damaged(), 2_900)
  t.same(refused, [])
  reports.receive(damaged(), 3_000)
  t.match(refused, [{ code: 'BAD_REQUEST' }])
})

t.test('reports: an older one that comes late changes nothing', async (t) => {
  const { reports } = listen(t)
  const [older, newer] = [host.report(), host.report()]
  reports.receive(bytesOf(newer), 1_100)
  t.match(reports.reports.get('a'), { report: { sequence: newer.sequence } })
  reports.receive(bytesOf(older), 1_200)
  t.match(reports.reports.get('a'), { report: { sequence: newer.sequence }, receivedAtMs: 1_100 })
})

t.test('reports: those of another cluster, and what is no report, are not taken in', async (t) => {
  const { reports } = listen(t)
  t.equal(reports.receive(bytesOf({ ...host.report(), cluster: 'another' }), 1_100), null)
  t.throws(() => reports.receive(Buffer.from('[]'), 1_100), { code: 'BAD_REQUEST' })
  t.equal(reports.reports.size, 1)
})

/** As an agent writes it: what the report is about comes first. */
function changesOf(report: HostReport, more: Partial<HostChanges> = {}): HostChanges {
  const { cluster, host, session, sequence, used, engineUp } = report
  const empty = { containers: [], gone: [], migrations: [], imageTasks: [], snapshots: [] }
  return { cluster, host, since: sequence, session, sequence: sequence + 1, used, engineUp, ...empty, ...more }
}

t.test('reports: changes are about the last complete report, read together or one after the other', async (t) => {
  const { reports, refused } = listen(t)
  const complete = host.report()
  reports.receive(bytesOf(complete), 1_100)
  reports.receive(bytesOf(changesOf(complete, { sequence: complete.sequence + 1, engineUp: false })), 1_200)
  t.match(reports.reports.get('a'), {
    report: { sequence: complete.sequence + 1, engineUp: false, address: complete.address },
    receivedAtMs: 1_200,
  })
  reports.receive(bytesOf(changesOf(complete, { sequence: complete.sequence + 3 })), 1_300)
  t.match(reports.reports.get('a'), { report: { engineUp: true }, receivedAtMs: 1_300 })
  reports.receive(bytesOf(changesOf(complete, { sequence: complete.sequence + 2, engineUp: false })), 1_400)
  t.match(reports.reports.get('a'), { report: { engineUp: true }, receivedAtMs: 1_300 }, 'older ones are not believed')
  t.same(refused, [])
})

t.test('reports: one that was lost is asked for, once a second', async (t) => {
  const { reports, missing } = listen(t)
  const lost = host.report()
  const hear = (more: Partial<HostChanges>, atMs: number) => {
    reports.receive(bytesOf(changesOf(lost, more)), atMs)
    return reports.reports.get('a')
  }
  hear({}, 1_100)
  t.same(missing, ['a'])
  hear({ sequence: lost.sequence + 2 }, 1_200)
  t.same(missing, ['a'])
  hear({ sequence: lost.sequence + 3 }, 2_100)
  t.same(missing, ['a', 'a'])
  hear({ session: lost.session - 1 }, 9_000)
  t.same(missing, ['a', 'a'], 'what is older than what we have misses nothing')
  reports.receive(bytesOf({ ...lost, sequence: lost.sequence + 4 }), 9_100)
  t.match(hear({ since: lost.sequence + 4, sequence: lost.sequence + 5 }, 9_200), { receivedAtMs: 9_200 })
  t.same(missing, ['a', 'a'])
})

t.test('reports: what a host says of its memory is in its changes, too', async (t) => {
  const { reports } = listen(t)
  const pressure = (memoryUsedBytes: number) => ({ memoryUsedBytes, frozen: [] })
  const complete = { ...host.report(), pressure: pressure(1) }
  reports.receive(bytesOf(complete), 1_100)
  reports.receive(bytesOf(changesOf(complete, { pressure: pressure(2) })), 1_200)
  t.match(reports.reports.get('a'), { report: { pressure: pressure(2) } })
  reports.receive(bytesOf(changesOf(complete, { sequence: complete.sequence + 2 })), 1_300)
  t.match(reports.reports.get('a'), { report: { pressure: pressure(1) } }, 'an older agent says it now and then')
})

t.test('reports: changes to a report that was lost say nothing', async (t) => {
  const { reports, refused } = listen(t)
  const before = reports.reports.get('a')
  const lost = host.report()
  reports.receive(bytesOf(changesOf(lost, { engineUp: false })), 1_100)
  t.equal(reports.reports.get('a'), before)
  reports.receive(
    bytesOf(changesOf({ ...lost, session: lost.session + 1 }, { since: before?.report.sequence ?? 0 })),
    1_200,
  )
  t.equal(reports.reports.get('a'), before, 'nor those of another life of the agent')
  reports.receive(Buffer.from('{"cluster":"test","host":"a","since":"x"}'), 1_300)
  t.equal(reports.reports.get('a'), before)
  t.match(refused, [{ code: 'BAD_REQUEST' }])
})
