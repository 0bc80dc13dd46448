// A selection of the fault table (docs/faults.md; the whole of it is `npm run faults`): those in which the outcome is open or has just
// been decided, since there two copies exist; CRIU killed at its work; and a cancel in each phase.

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { casesMatching, describeCase, faultCases } from '../src/faults/cases.ts'
import { enginePoints } from '../src/faults/points.ts'
import { runCase } from '../src/faults/run-case.ts'
import { Subject } from '../src/faults/subject.ts'
import { faultTables, outcomesOf, withTables } from '../src/faults/table.ts'
import { settleDeadlineMs, tell } from '../src/stories.ts'

const selection = [
  'source.frozen: kill source agent',
  'source.frozen: cut destination cable',
  'destination.memory-receiving: kill destination criu',
  'destination.restored: kill leader',
  'destination.restored: kill source engine',
  'destination.restored: stop destination agent',
  'destination.releasing: kill destination engine',
  'source.cleaning: kill source agent',
  'checkpoint:dumped: kill source criu',
  'restore:network: kill destination criu',
  'thaw:attached: kill source engine',
  'source.disk-sent: cancel move',
  'copy:part: cancel move',
  'checkpoint:frozen: cancel move',
  'destination.restored: cancel move',
]

t.test('the fault table shows what went wrong', async (t) => {
  const [fault] = faultCases
  if (fault === undefined) throw new Error('there are no cases')
  const good = { fault, outcome: 'done', blackoutMs: 60, problems: [] }
  const bad = { fault, outcome: 'done', blackoutMs: 60, problems: ['web should run on a and has processes on a, b'] }
  t.match(faultTables([good, good]), /done 2/)
  t.match(faultTables([good, bad]), /done 1, \*\*wrong 1\*\*/)
  t.match(faultTables([bad]), /1 moves, 1 of them wrong.\nOf the last run: .*running twice 1/)

  const empty = '# Faults\n<!-- table: npm run faults -- --write -->\n<!-- end of table -->\n'
  const step = { ...good, fault: { point: 'restore:network', victim: 'destination criu', harm: 'kill' } as const }
  const page = withTables(withTables(empty, [good, good]), [step])
  t.match(page, /done 2/, 'a later run of other cases leaves the outcome')
  t.match(page, /\| restore:network \| done 1 \|\n\n3 moves, 0 of them wrong/)
  t.equal(withTables(page, []), page)
  t.equal(outcomesOf(page, fault), 2)
  t.equal(outcomesOf(page, { ...fault, harm: 'kill' }), 0)
  t.equal(outcomesOf(withTables(page, [bad], true), fault), 3)
  t.match(withTables(page, [good], false, '1234abc, 2026-01-01'), /The last 1 on commit 1234abc, 2026-01-01\.$/m)
})

t.test('each step of a move in an engine is one of the table, and the other way round', async (t) => {
  const sources = join(import.meta.dirname, '../../native/engine/src')
  const others = ['create', 'replace', 'start', 'stop', 'kill', 'delete', 'lease']
  const steps = readdirSync(sources)
    .filter((file) => file.endsWith('.cc'))
    .flatMap((file) => [...readFileSync(join(sources, file), 'utf8').matchAll(/crashPoint\("([a-z:-]+)"\)/g)])
    .map((match) => match[1] as string)
    .filter((step) => !others.includes(step.split(':')[0] as string))
  t.strictSame(steps.sort(), [...enginePoints].sort())
})

await tell(t, async (story) => {
  const subject = await Subject.make(story, 'subject')
  await t.test('a byte that changes on the way is noticed before the switch', async (t) => {
    if (story.lab.engine !== 'native') return t.comment('needs the native engine')
    const before = await story.container('subject')
    const destination = story.otherHost(before)
    const held = story.lab.arm(destination, 'destination.disk-received')
    try {
      const { id } = await story.client.move('subject', { host: destination })
      await held.reached(settleDeadlineMs)
      const file = join(story.lab.host(destination).directory, 'containers', before.id, 'upper', 'data', 'f7')
      const { mtimeNs } = statSync(file, { bigint: true })
      const content = readFileSync(file)
      content[17_000] = (content[17_000] as number) ^ 1
      writeFileSync(file, content)
      const [seconds, nanoseconds] = [mtimeNs / 1_000_000_000n, String(mtimeNs % 1_000_000_000n).padStart(9, '0')]
      execFileSync('touch', ['-d', `@${seconds}.${nanoseconds}`, file])
      held.letGo()
      const ended = await story.ended(id)
      t.match(ended, { state: 'failed', error: { code: 'DISK_DIFFERS', message: /is not the one that was sent/ } })
    } finally {
      held.letGo()
    }
    t.match(await story.container('subject'), { host: before.host, state: 'running', starts: before.starts })
    t.strictSame(await subject.problems(), [])
  })
  for (const text of selection) {
    const fault = casesMatching(text).find((each) => describeCase(each) === text)
    await t.test(text, async (t) => {
      if (fault === undefined) throw new Error(`there is no case ${text}`)
      const { outcome, problems } = await runCase(story, subject, fault)
      t.match(outcome, /^(done|aborted: [A-Z_]+)$/)
      t.strictSame(problems, [])
    })
  }
})
