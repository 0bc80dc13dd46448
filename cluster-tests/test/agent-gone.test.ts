// A host's agent dies and stays away: its engine holds to the lease by itself, and what may begins again elsewhere.

import t from 'tap'
import { engineOf, healedElsewhere, launchHealable } from '../src/lost-host.ts'
import { tell } from '../src/stories.ts'

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
})
