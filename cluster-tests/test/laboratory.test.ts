// The laboratory itself: hosts are separate, and nothing of it is left, however its owner ends.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { allStates, Lab, leftovers, namespaceUsers, waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { whyNot } from '../src/stories.ts'

const skip = whyNot()
if (skip !== null) t.pass('left out', { skip })
else await tell()

async function tell() {
  await t.test('an owner that is killed leaves nothing: the guardian takes it down', async (t) => {
    const program = `
      import { Lab } from ${JSON.stringify(import.meta.resolve('@drover/testkit/lab'))}
      const lab = await Lab.start({ hosts: ['a', 'b'], controllers: 1 })
      console.log(lab.id)
      setInterval(() => {}, 1000)`
    const owner = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [id] = await once(createInterface({ input: owner.stdout }), 'line')
    const state = allStates().find((each) => each.id === id)
    if (state === undefined) throw new Error(`laboratory ${id} has no state file`)
    t.ok(leftovers(state).length > 10, 'it is there while its owner lives')
    const users = namespaceUsers(state)
    owner.kill('SIGKILL')
    const left = () => leftovers(state, users)
    await waitUntil('the guardian to finish', 90_000, () => left().length === 0).catch(() => {})
    t.strictSame(left(), [])
  })

  await t.test('two laboratories at once do not meet', async (t) => {
    const labs: Lab[] = []
    t.teardown(() => Promise.all(labs.map((lab) => lab.down())))
    for (let at = 0; at < 2; at++) labs.push(await Lab.start({ hosts: ['a'], controllers: 1 }))
    const [one, two] = labs as [Lab, Lab]
    t.not(one.endpoints[0], two.endpoints[0])
    await one.down()
    t.strictSame(one.leftovers(), [])
    t.equal((await two.status())?.hostsReady, 1, 'the other goes on')
  })
}
