// A host is cut off: what may begins again elsewhere, never twice; what waits for its disk runs on where it is, and is there again when
// the host is.

import t from 'tap'
import { engineOf, healedElsewhere, launchHealable } from '../src/lost-host.ts'
import { tell } from '../src/stories.ts'
import { tracesLeft } from '../src/traces.ts'

await tell(t, async (story) => {
  const { lab } = story
  const web = await launchHealable(story, 'web')
  await story.must('launch', 'db', '--host', web.host)
  const db = await story.container('db')

  await t.test('cut off: its engine freezes what begins again elsewhere', async (t) => {
    await lab.setCable(web.host, false)
    const healed = await healedElsewhere(story, web)
    t.equal(healed.epoch, web.epoch + 1)
    t.match(await engineOf(story, web.host, web), { state: 'frozen', fenced: true }, 'the old copy stands still')
    t.equal((await engineOf(story, web.host, db))?.state, 'running', 'what nobody starts elsewhere runs on')
    const waits = await story.container('db')
    t.match(waits, { state: 'unknown', host: web.host })
    t.match(waits.message, /waits for host/)
  })

  await t.test('back again: the stale copy goes, and the rest never noticed', async (t) => {
    await lab.setCable(web.host, true)
    await lab.whole()
    t.strictSame(await story.everyOneRunsOnce(['web', 'db']), [])
    t.strictSame(await tracesLeft(lab, [web.host], web), [], 'nothing of the stale copy is left')
    t.equal((await story.container('db')).initPid, db.initPid)
  })
})
