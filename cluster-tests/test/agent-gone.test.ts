// A host's agent dies and stays away: its engine holds to the lease by itself, and what may begins again elsewhere. Then a host loses its
// power: nothing of it is left to say anything, and the same command that empties a host brings what may be to others.

import type { Operation } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOf, healedElsewhere, launchHealable } from '../src/lost-host.ts'
import { settleDeadlineMs, tell } from '../src/stories.ts'

await tell(t, async (story) => {
  const { lab } = story
  const before = await launchHealable(story, 'web')

  await t.test('a host that is heard can’t be declared dead', async (t) => {
    const refused = await lab.cli(['host', 'lost', before.host, '--i-am-sure'])
    t.not(refused.code, 0)
    t.match(refused.stderr, /is heard/)
  })

  await t.test('without its agent the engine freezes it, and it begins again elsewhere', async (t) => {
    await lab.kill(before.host, 'agent')
    const healed = await healedElsewhere(story, before)
    t.not(healed.host, before.host)
    t.match(await engineOf(story, before.host, before), { state: 'frozen', fenced: true })
    await lab.restart(before.host, 'agent')
    await lab.whole()
    t.strictSame(await story.everyOneRunsOnce(['web']), [])
  })

  await t.test('a host without power is emptied by healing, under the same command; who waits is named', async (t) => {
    const web = await story.container('web')
    await story.must('launch', 'db', '--host', web.host)
    await waitUntil('the image of web on a second host', settleDeadlineMs, async () => {
      const holders = (await story.client.hosts()).filter(({ images }) => images.includes(web.spec.image))
      return holders.length > 1
    })
    await lab.cutPower(web.host)
    t.strictSame(await lab.hostsRunning(web.id), [], 'nothing of it runs any more')
    await waitUntil('the others to have a leader', settleDeadlineMs, async () => {
      const hosts = await story.client.hosts().catch(() => null)
      return hosts?.find(({ name }) => name === web.host)?.status === 'silent'
    })
    const emptying = await story.must<Operation>('host', 'evacuate', web.host, '--no-wait')
    // That it is silent is seen before it is committed.
    await waitUntil('it to be lost', settleDeadlineMs, async () => {
      const { code } = await lab.cli(['host', 'lost', web.host, '--i-am-sure'])
      return code === 0
    })
    const ended = await story.ended(emptying.id)
    t.match(ended, { kind: 'evacuate', state: 'failed', error: { code: 'HOST_UNREACHABLE' } })
    t.match(ended.error?.message, /1 of 2 containers run elsewhere; not: db \(it waits for host/)
    const healed = await story.container('web')
    t.not(healed.host, web.host)
    t.match(healed, { state: 'running', epoch: web.epoch + 1 })
    t.strictSame(await lab.hostsRunning(web.id), [healed.host])
  })

  await t.test('with --fresh nobody waits; and with power again, nothing stale runs', async (t) => {
    const db = await story.container('db')
    await story.must('host', 'lost', db.host, '--i-am-sure', '--fresh')
    await waitUntil('db to run elsewhere', settleDeadlineMs, async () => {
      const now = await story.container('db')
      return now.host !== db.host && now.state === 'running'
    })
    await lab.restorePower(db.host)
    await lab.whole()
    t.strictSame(await story.everyOneRunsOnce(['web', 'db']), [])
    for (const name of ['web', 'db']) {
      const container = await story.container(name)
      await waitUntil(`nothing of ${name} on ${db.host}`, settleDeadlineMs, async () => {
        return (await lab.tracesOf(db.host, container)).length === 0
      })
    }
    await story.must('host', 'restore', db.host)
  })
})
