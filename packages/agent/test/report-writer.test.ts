// What a host says between two complete reports: whoever has the last complete one and the newest changes knows the same as if everything
// had been said, whatever got lost in between.

import type { EngineContainer } from '@drover/engine'
import { type HostChanges, type HostReport, withChanges } from '@drover/protocol'
import fc from 'fast-check'
import t from 'tap'
import { MigrationSession } from '../src/migration/session.ts'
import { ContainerObserver } from '../src/observe.ts'
import { type ReportFacts, ReportWriter } from '../src/report-writer.ts'

const zero = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }
const engine = (container: string, more: Partial<EngineContainer> = {}): EngineContainer => ({
  container,
  name: container,
  epoch: 1,
  state: 'running',
  initPid: 42,
  startedAtMs: 1000,
  starts: 1,
  exit: null,
  upper: '/upper',
  memoryBytes: 10,
  cpuUsec: 20,
  processes: 3,
  ...more,
})

/** A host whose containers and sessions can be changed. */
class Host {
  readonly containers = new Map<string, EngineContainer>()
  readonly sessions = new Map<string, MigrationSession>()
  readonly writer = new ReportWriter()
  readonly #observer = new ContainerObserver()
  images: string[] = []

  say(everything = false): HostReport | HostChanges {
    if (everything) this.writer.sayEverything()
    return this.writer.next(this.facts(this.#observer))
  }

  /** Everything, made by somebody who has never said anything. */
  whole(): HostReport {
    return new ReportWriter().next(this.facts(new ContainerObserver())) as HostReport
  }

  facts(observer: ContainerObserver): ReportFacts {
    return {
      cluster: 'test',
      host: 'a',
      session: 1,
      address: '127.0.0.1',
      grpcPort: 1,
      streamPort: 2,
      capacity: zero,
      used: zero,
      features: { engine: 'simulated' } as unknown as HostReport['features'],
      images: this.images,
      engineUp: true,
      containers: observer.observe([...this.containers.values()], () => null, []),
      sessions: [...this.sessions.values()],
      imageTasks: [],
      snapshots: [],
    }
  }
}

const sorted = ({ sequence: _, ...report }: HostReport) => ({
  ...report,
  containers: report.containers
    .map(({ memoryBytes: _memory, cpuUsec: _cpu, ...each }) => each)
    .sort((left, right) => (left.container < right.container ? -1 : 1)),
  migrations: [...report.migrations].sort((left, right) => (left.operation < right.operation ? -1 : 1)),
})

t.test('reports: changes name what is different, and nothing else', async (t) => {
  const host = new Host()
  for (const name of ['c1', 'c2', 'c3']) host.containers.set(name, engine(name))
  t.notOk('since' in host.say(), 'the first says everything')
  t.match(host.say(), { since: 1, sequence: 2, containers: [], gone: [], migrations: [] })
  host.containers.set('c1', engine('c1', { memoryBytes: 99, cpuUsec: 99 }))
  t.same((host.say() as HostChanges).containers, [], 'what it uses can wait')
  host.containers.set('c2', engine('c2', { state: 'frozen' }))
  host.containers.delete('c3')
  const changes = host.say() as HostChanges
  t.match(changes, { since: 1, containers: [{ container: 'c2', state: 'frozen' }], gone: ['c3'] })
  t.equal(changes.containers.length, 1)
  t.match(host.say(), { since: 1, containers: [{ container: 'c2' }], gone: ['c3'] }, 'and each time all of it')
  host.images = ['sha256:1']
  t.match(
    host.say(),
    { images: ['sha256:1'], containers: [{ memoryBytes: 99 }, {}] },
    'rarer facts need a whole report',
  )
})

t.test('reports: changes that have told of as much as everything are followed by everything', async (t) => {
  const host = new Host()
  const names = Array.from({ length: 20 }, (_, at) => `c${at}`)
  for (const name of names) host.containers.set(name, engine(name))
  host.say()
  for (let again = 0; again < 100; again++) t.ok('since' in host.say(), 'nothing new costs nothing')
  for (const name of names.slice(0, 4)) host.containers.set(name, engine(name, { state: 'frozen' }))
  for (let again = 0; again < 5; again++) t.equal((host.say() as HostChanges).containers.length, 4)
  t.notOk('since' in host.say())
  t.same((host.say() as HostChanges).containers, [])
})

t.test('reports: what a container uses is told with the next complete report', async (t) => {
  const observer = new ContainerObserver()
  const use = (diskBytes: number) => () => ({ diskBytes, dirtyBytesPerS: 7 })
  const look = (memoryBytes: number, diskBytes: number) =>
    observer.observe([engine('c1', { memoryBytes })], () => null, [], undefined, use(diskBytes))[0]
  const first = look(10, 100)
  t.match(first, { memoryBytes: 10, diskBytes: 100, dirtyBytesPerS: 7 })
  t.equal(look(20, 200), first, 'it is no change')
  t.match(first, { memoryBytes: 20, diskBytes: 200 })
})

t.test('reports: sessions that ended long ago are told without their figures', async (t) => {
  const host = new Host()
  const session = new MigrationSession('op', 'c1', 'source', () => {})
  host.sessions.set('op', session)
  session.figures.dump_ms = 5.4321987
  session.advance('cleaned')
  t.match(host.say(), { migrations: [{ step: 'cleaned', figures: { dump_ms: 5.432 } }] }, 'to microseconds')
  t.same((host.say() as HostChanges).migrations, [])
  host.writer.sayEverything()
  const later = performance.now() + 60_000
  t.match(host.writer.next(host.facts(new ContainerObserver()), later), {
    migrations: [{ step: 'cleaned', figures: {} }],
  })
})

t.test('reports: the last complete one and the newest changes are the whole truth, whatever was lost', async (t) => {
  const name = fc.constantFrom('c1', 'c2', 'c3', 'c4')
  const event = fc.oneof(
    fc.record({ put: name, state: fc.constantFrom('running' as const, 'frozen' as const, 'stopped' as const) }),
    fc.record({ remove: name }),
    fc.record({ step: name, to: fc.constantFrom('prepared' as const, 'switched' as const, 'cleaned' as const) }),
    fc.record({ say: fc.boolean(), lost: fc.boolean() }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const host = new Host()
      let complete: HostReport | undefined
      for (const each of [...events, { say: false, lost: false }]) {
        if ('put' in each) host.containers.set(each.put, engine(each.put, { state: each.state }))
        else if ('remove' in each) host.containers.delete(each.remove)
        else if ('step' in each) {
          const session = host.sessions.get(each.step) ?? new MigrationSession(each.step, each.step, 'source', () => {})
          host.sessions.set(each.step, session)
          session.advance(each.to)
        } else {
          const said = JSON.parse(JSON.stringify(host.say(each.say))) as HostReport | HostChanges
          if (each.lost) continue
          if (!('since' in said)) complete = said
          const heard = 'since' in said ? withChanges(complete, said) : said
          if (heard === null)
            t.not(complete?.sequence, (said as HostChanges).since, 'only for want of the complete one')
          else t.strictSame(sorted(heard), sorted(JSON.parse(JSON.stringify(host.whole()))))
        }
      }
    }),
    { numRuns: 200 },
  )
})
