// A selection of the fault table (docs/faults.md; the whole of it is `npm run faults`): those in which the outcome is open or has just
// been decided, since there two copies exist.

import t from 'tap'
import { casesMatching, describeCase, faultCases } from '../src/faults/cases.ts'
import { makeSubject, runCase } from '../src/faults/run-case.ts'
import { faultTable } from '../src/faults/table.ts'
import { tell } from '../src/stories.ts'

const selection = [
  'source.frozen: kill source agent',
  'source.frozen: cut destination cable',
  'destination.memory-receiving: kill destination criu',
  'destination.restored: kill leader',
  'destination.restored: kill source engine',
  'destination.restored: stop destination agent',
  'destination.releasing: kill destination engine',
  'source.cleaning: kill source agent',
]

t.test('the fault table shows what went wrong', async (t) => {
  const [fault] = faultCases
  if (fault === undefined) throw new Error('there are no cases')
  const good = { fault, outcome: 'done', blackoutMs: 60, problems: [] }
  const bad = { fault, outcome: 'done', blackoutMs: 60, problems: ['web should run on a and has processes on a, b'] }
  t.match(faultTable([good, good]), /done 2/)
  t.match(faultTable([good, bad]), /done 1, \*\*wrong 1\*\*/)
  t.match(faultTable([bad]), /1 moves; 1 wrong: .*running twice 1/)
})

await tell(t, async (story) => {
  await makeSubject(story, 'subject')
  for (const text of selection) {
    const fault = casesMatching(text).find((each) => describeCase(each) === text)
    await t.test(text, async (t) => {
      if (fault === undefined) throw new Error(`there is no case ${text}`)
      const { outcome, problems } = await runCase(story, 'subject', fault)
      t.match(outcome, /^(done|aborted: [A-Z_]+)$/)
      t.strictSame(problems, [])
    })
  }
})
