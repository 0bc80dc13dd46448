// How a move is done as its user wants it: strategy, longest blackout, bandwidth, places in line; and what is told meanwhile.

import type { Operation } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { compileKeeper, Keeper } from '../src/keeper.ts'
import { settleDeadlineMs, tell } from '../src/stories.ts'

const mebibyte = 1 << 20
t.setTimeout(900_000)
const figuresOf = ({ migration }: Operation) => migration?.figures ?? {}

await tell(t, async (story) => {
  const program = story.lab.engine === 'native' ? compileKeeper(t.testdir()) : null
  if (program === null) {
    t.pass('left out', { skip: 'needs the native engine, a C compiler and the static C library' })
    return
  }
  const names = ['calm', 'busy', 'web-1', 'web-2']
  await story.must('launch', 'calm', '--host', 'a', '--memory', '512MiB')
  await story.must('launch', 'busy', '--host', 'a', '--memory', '512MiB')
  await story.must('launch', 'web', '--count', '2', '--host', 'a')
  const calm = await Keeper.start(story, 'calm', program, 96, 0)

  await t.test('stop-and-copy: all memory goes after the freeze; pre-copy: next to none of it does', async (t) => {
    const stopped = figuresOf(await story.must<Operation>('move', 'calm', 'b', '--strategy', 'stop-and-copy'))
    t.equal(stopped.ahead_rounds, undefined)
    t.ok((stopped.switch_bytes ?? 0) > 90 * mebibyte, `${stopped.switch_bytes} bytes after the freeze`)
    const moved = await story.must<Operation>('move', 'calm', 'a', '--max-blackout', '30s')
    const ahead = figuresOf(moved)
    t.equal(moved.migration?.terms?.maxBlackoutMs, 30_000)
    if (ahead.ahead_rounds === undefined) t.comment('this kernel does not track writes')
    else {
      t.ok((ahead.switch_bytes ?? 0) < 10 * mebibyte, `${ahead.switch_bytes} bytes after the freeze`)
      t.ok((ahead.bytes_per_s ?? 0) > 0 && (ahead.dirty_bytes_per_s ?? -1) >= 0)
    }
    t.ok(
      (ahead.estimated_blackout_ms ?? 0) > 0,
      `${ahead.estimated_blackout_ms} ms were estimated, ${ahead.blackout_ms} it took`,
    )
    t.match(await calm.ask(), { memory: 'whole' })
  })

  await t.test('a budget that cannot be kept is refused with the estimate, and it never stood still', async (t) => {
    const busy = await Keeper.start(story, 'busy', program, 96, 96)
    const { gaps } = await busy.ask()
    const cases = [
      ['auto', 150],
      ['stop-and-copy', 150],
      ['auto', 20],
    ] as const
    for (const [strategy, most] of cases) {
      const refused = await story.lab.cli([
        'move',
        'busy',
        'b',
        '--max-blackout',
        `${most}ms`,
        '--strategy',
        strategy,
        '--json',
      ])
      t.not(refused.code, 0)
      t.match(
        refused.stdout + refused.stderr,
        new RegExp(`BLACKOUT_TOO_LONG.*move busy: it would stand still for about \\d+ ms, the limit is ${most} ms`),
      )
    }
    const after = await busy.ask()
    t.equal(after.gaps, gaps, 'it was not frozen')
    t.equal(after.memory, 'whole')
    t.match(await story.container('busy'), { host: 'a', state: 'running', operation: null })
  })

  await t.test('post-copy, and nonsense, are refused by name', async (t) => {
    const refused = await story.lab.cli(['move', 'calm', 'b', '--strategy', 'post-copy'])
    t.match(refused, { code: 1, stderr: /by post-copy: a source that is lost .* would leave it running with zeros/ })
    for (const words of [
      ['--strategy', 'magic'],
      ['--max-blackout', 'soon'],
      ['--bandwidth', 'fast'],
    ]) {
      const bad = await story.lab.cli(['move', 'calm', 'b', ...words])
      t.not(bad.code, 0, words.join(' '))
    }
  })

  await t.test('a bandwidth limit holds, progress is told, and a cancel returns the container to normal', async (t) => {
    const begun = await story.must<Operation>('move', 'calm', 'b', '--bandwidth', '1MiB/s', '--no-wait')
    const seen: Operation[] = []
    await waitUntil('some of it to be sent', settleDeadlineMs, async () => {
      seen.push(await story.client.operation(begun.id))
      return (figuresOf(seen.at(-1) as Operation).sent_bytes ?? 0) > 2 * mebibyte
    })
    const last = seen.at(-1) as Operation
    t.equal(last.migration?.phase, 'precopying')
    t.ok(Date.now() - last.createdAtMs > 1_000, 'that much is not there at once')
    const shown = await story.lab.cli(['ops', 'show', begun.id])
    t.match(shown.stdout, /transfer +\S+ MiB sent/)
    t.match(shown.stdout, /limits +at most 1 MiB\/s/)
    await story.must('ops', 'cancel', begun.id)
    t.match(await story.ended(begun.id), { state: 'cancelled' })
    t.match(await story.container('calm'), { host: 'a', state: 'running', operation: null })
    t.match(await calm.ask(), { memory: 'whole' })
    const watched = await story.lab.cli(['ops', 'watch', begun.id])
    t.match(watched.stdout, /cancelled/)
  })

  await t.test('moves beyond the limits wait in line, their place is shown, and all go in the end', async (t) => {
    await story.must('transfer', 'set', '--per-link', '1', '--bandwidth', '8MiB/s')
    const first = await story.must<Operation>('move', 'calm', 'b', '--no-wait')
    // By the API: two more commands might take as long as the first move.
    const others = [await story.client.move('web-1', { host: 'b' }), await story.client.move('web-2', { host: 'b' })]
    const lines = await Promise.all(others.map(({ id }) => story.client.operation(id)))
    t.strictSame(
      lines.map(({ phase, progress }) => [phase, progress.message]),
      [
        ['planned', 'a → b: waits, 1 of 2 in line'],
        ['planned', 'a → b: waits, 2 of 2 in line'],
      ],
    )
    for (const { id } of [first, ...others]) t.match(await story.ended(id), { state: 'done' })
    t.equal((await story.client.operation(first.id)).migration?.terms?.hostBytesPerS, 8 * mebibyte)
    await story.must('transfer', 'set', '--reset')
    t.match(await calm.ask(), { memory: 'whole' })
    t.strictSame(await story.everyOneRunsOnce(names), [])
  })
})
