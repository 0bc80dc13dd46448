// A host loses its power and gets it back: what ran on it runs again by its order, with its disk; what was stopped stays so.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOfStories, settleDeadlineMs, tell } from '../src/stories.ts'

/** Namespaces have no boots of their own, and an engine of the same boot takes an end for the container's own will. */
function boot(directory: string): void {
  for (const name of readdirSync(directory)) {
    for (const file of ['record.json', 'record.json.kept'].map((each) => join(directory, name, each))) {
      if (!existsSync(file)) continue
      writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), bootId: 'of the boot before' }))
    }
  }
}

await tell(t, async (story) => {
  const { lab } = story
  await t.test('after a power cut', { skip: engineOfStories !== 'native' && 'needs records on a disk' }, async (t) => {
    await story.must('launch', 'front')
    const { host } = await story.container('front')
    for (const name of ['back', 'idle']) await story.must('launch', name, '--host', host)
    await story.must('set', 'front', 'autostart.order=10')
    await story.must('stop', 'idle')
    await lab.cli(['exec', 'front', '--', 'sh', '-c', 'echo kept > /root/file'])
    await lab.cutPower(host)
    boot(join(lab.host(host).directory, 'containers'))
    await lab.restorePower(host)
    await lab.whole()
    const all = () => Promise.all(['front', 'back', 'idle'].map((name) => story.container(name)))
    await waitUntil('what ran to run again', settleDeadlineMs, async () => {
      const [front, back] = await all()
      return [front, back].every((each) => each?.state === 'running' && each.starts === 2)
    })
    const [front, back, idle] = await all()
    t.ok((front?.startedAtMs ?? 0) < (back?.startedAtMs ?? 0), 'in their order')
    t.equal(idle?.state, 'stopped')
    t.equal((await lab.cli(['exec', 'front', '--', 'cat', '/root/file'])).stdout.trim(), 'kept')
  })
})
