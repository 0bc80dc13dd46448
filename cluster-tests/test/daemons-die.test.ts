// Agents, engines and the bus are killed and come back: containers do not notice, and everything goes on.

import type { Container } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t, { type Test } from 'tap'
import { setTrap } from '../src/phase-trap.ts'
import { settleDeadlineMs, tell } from '../src/stories.ts'
import { Witness } from '../src/witness.ts'

await tell(t, async (story) => {
  const { lab } = story
  const names = ['one', 'two', 'three']
  for (const [index, name] of names.entries())
    await story.must('launch', name, '--host', lab.hosts[index]?.name as string)
  t.strictSame(await story.everyOneRunsOnce(names), [])

  /** What goes on around a death: the container is watched over its connection, and works afterwards. */
  const undisturbed = async (t: Test, name: string, disturb: (before: Container) => Promise<void>) => {
    const before = await story.container(name)
    const witness = await Witness.of(lab, before)
    t.teardown(() => witness.close())
    await disturb(before)
    const wrong = await story.everyOneRunsOnce(names)
    t.strictSame(wrong, [])
    const after = await story.container(name)
    t.equal(after.initPid, before.initPid, 'the same init')
    const verdict = await witness.verdict(after)
    t.ok(verdict.unbroken, verdict.detail)
    const echoed = await waitUntil('exec to work', settleDeadlineMs, async () => {
      const outcome = await lab.cli(['exec', name, '--', 'echo', 'alive'])
      return outcome.code === 0 ? outcome : null
    })
    t.equal(echoed.stdout, 'alive\n')
  }

  await t.test('agent killed and started again: its containers are untouched, and it takes orders', async (t) => {
    await undisturbed(t, 'one', async ({ host }) => {
      await lab.kill(host, 'agent')
      await lab.restart(host, 'agent')
      await lab.whole()
    })
    await story.must('freeze', 'one')
    await story.must('thaw', 'one')
  })

  await t.test('engine killed and started again: its containers live on and are adopted', async (t) => {
    await undisturbed(t, 'two', async ({ host }) => {
      await lab.kill(host, 'engine')
      await lab.restart(host, 'engine')
    })
    const before = await story.container('two')
    const witness = await Witness.of(lab, before)
    t.teardown(() => witness.close())
    await story.must('move', 'two')
    const verdict = await witness.verdict(await story.container('two'))
    t.ok(verdict.unbroken, `an adopted container moves live: ${verdict.detail}`)
    await story.must('stop', 'two')
    t.equal((await story.container('two')).state, 'stopped', 'and stops')
    await story.must('start', 'two')
    t.strictSame(await story.everyOneRunsOnce(names), [])
  })

  await t.test('every nats-server killed and started again: containers untouched, moves work again', async (t) => {
    await undisturbed(t, 'three', async () => {
      for (const host of lab.hosts) await lab.kill(host.name, 'nats')
      for (const host of lab.hosts) await lab.restart(host.name, 'nats')
      await lab.whole()
    })
    await story.must('move', 'three')
    t.strictSame(await story.everyOneRunsOnce(names), [])
  })

  for (const [side, kind, phase] of [
    ['source', 'agent', 'precopying'],
    ['destination', 'agent', 'precopying'],
    ['source', 'agent', 'switching'],
    ['destination', 'agent', 'switching'],
    ['source', 'engine', 'switching'],
    ['destination', 'engine', 'switching'],
  ] as const) {
    await t.test(`${kind} of the ${side} killed while ${phase}: exactly one copy goes on`, async (t) => {
      const before = await story.container('three')
      const destination = story.otherHost(before)
      const victim = side === 'source' ? before.host : destination
      const trap = await setTrap(lab, 'three', phase, () => lab.kill(victim, kind))
      const moving = await story.client.move('three', { host: destination })
      await trap.sprung
      await lab.restart(victim, kind)
      const ended = await story.ended(moving.id)
      t.not(ended.state, 'running', `the operation ended ${ended.state}: ${ended.error?.message ?? ''}`)
      if (ended.state !== 'done') t.ok(ended.error?.message, 'with a reason')
      t.strictSame(await story.everyOneRunsOnce(names), [])
      t.equal((await story.container('three')).starts, before.starts, 'its init was not started again')
    })
  }
})
