// A host that goes down stops its containers in their order; when it is back they run again, and nobody was told that they had stopped.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { StopPolicy } from '@drover/protocol'
import t from 'tap'
import { HostShutdown } from '../src/host-shutdown.ts'
import { addTinyImage, assignmentFor, TestCluster, withoutNats } from './harness.ts'

t.test('a host goes down', { skip: withoutNats }, async (t) => {
  const cluster = await TestCluster.start(t)
  const image = await addTinyImage(join(cluster.directory, 'a', 'agent'))
  const a = await cluster.addHost('a')
  const assign = (container: string, stop: StopPolicy) => {
    const assignment = assignmentFor(container, image)
    cluster.assign('a', { ...assignment, spec: { ...assignment.spec, stop } })
  }
  const all = ['c1', 'c2', 'c3']
  const observed = (container: string) => cluster.report('a')?.containers.find((one) => one.container === container)

  await t.test('shutdown: containers stop by priority, and run again when it is back', async (t) => {
    assign('c1', {})
    assign('c2', { priority: 5, hostTimeoutMs: 5_000 })
    assign('c3', { priority: -1, hostTimeoutMs: 0 })
    await cluster.until('all run', () => all.every((each) => cluster.state('a', each) === 'running'))
    const order: string[] = []
    const forget = a.engine.containers.onChange(({ container, state }) => state === 'stopped' && order.push(container))
    await a.agent.stop({ hostGoesDown: true })
    forget()
    t.same(order, ['c2', 'c1', 'c3'])
    t.ok(
      all.every((each) => cluster.state('a', each) === 'running'),
      'the last report says that they run',
    )
    await a.startAgent()
    await cluster.until('all run again', () => all.every((each) => observed(each)?.starts === 2))
    t.ok(all.every((each) => a.engineState(each) === 'running'))
  })

  await t.test('shutdown: what is powered off later is so by its own will', async (t) => {
    a.engine.containers.end('c1', 'poweroff')
    await cluster.until('it has ended', () => cluster.state('a', 'c1') === 'stopped')
    t.not(observed('c1')?.message, 'its host went down')
    await a.agent.stop()
    await a.startAgent()
    await cluster.until('it is told again', () => cluster.state('a', 'c1') === 'stopped')
    t.equal(a.engineState('c1'), 'stopped')
  })
})

t.test('shutdown: a record that can’t be read says nothing', async (t) => {
  const directory = t.testdir()
  writeFileSync(join(directory, 'host-shutdown.json'), '{"c1": 1, "c2": ')
  const container = { container: 'c1', state: 'stopped', starts: 1, exit: null } as never
  t.equal(new HostShutdown(directory).seen(container), container)
})
