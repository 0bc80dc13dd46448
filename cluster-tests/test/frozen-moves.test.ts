// Containers that stand still: moved without being woken, and they arrive as they were. A process inside tells by its own clock.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Container, Operation } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { compileKeeper, Keeper, type KeeperWord, parseWord } from '../src/keeper.ts'
import { settleDeadlineMs, tell } from '../src/stories.ts'

t.setTimeout(900_000)

await tell(t, async (story) => {
  const directory = t.testdir()
  const program = story.lab.engine === 'native' ? compileKeeper(directory) : null
  if (program === null) {
    t.pass('left out', { skip: 'needs the native engine, a C compiler and the static C library' })
    return
  }
  let pulls = 0
  /** What the keeper last wrote by itself, read without waking it. */
  const written = async (name: string): Promise<KeeperWord | null> => {
    const to = join(directory, `keeper-${++pulls}`)
    await story.must('file', 'pull', `${name}:/tmp/keeper`, to)
    return parseWord(readFileSync(to, 'utf8'))
  }
  await story.must('launch', 'still', '--host', 'a')
  const still = await Keeper.start(story, 'still', program, 16, 0)

  await t.test('frozen: it moves without being woken, there and back, and arrives frozen', async (t) => {
    const before = await still.ask()
    const askedAtMs = Date.now()
    await story.must('freeze', 'still')
    const frozen = await written('still')
    for (const host of ['b', 'a', 'c']) {
      const moved = await story.must<Operation>('move', 'still', host)
      t.match(moved, { state: 'done', migration: { mode: 'frozen' } })
      t.match(await story.container('still'), { host, state: 'frozen', desired: 'frozen', starts: 1 })
      t.strictSame(await written('still'), frozen, `not a tick on the way to ${host}`)
    }
    const thawedAtMs = Date.now()
    await story.must('thaw', 'still')
    const after = await still.ask()
    t.equal(after.gaps, before.gaps + 1, 'one gap, from the freeze to the thaw')
    t.ok(
      after.fromMs <= thawedAtMs && after.fromMs >= askedAtMs - 60_000 && after.toMs >= thawedAtMs,
      JSON.stringify(after),
    )
    t.equal(after.memory, 'whole')
  })

  await t.test('frozen: a cancelled move leaves it frozen where it was', async (t) => {
    await story.lab.cli(['exec', 'still', '--', 'sh', '-c', 'dd if=/dev/urandom of=/big bs=1M count=48'])
    await story.must('freeze', 'still')
    const frozen = await written('still')
    const begun = await story.must<Operation>('move', 'still', 'a', '--bandwidth', '1MiB/s', '--no-wait')
    await waitUntil('the disk to be on its way', settleDeadlineMs, async () => {
      const { migration } = await story.client.operation(begun.id)
      return (migration?.figures.sent_bytes ?? 0) > 0
    })
    await story.must('ops', 'cancel', begun.id)
    t.match(await story.ended(begun.id), { state: 'cancelled' })
    t.match(await story.container('still'), { host: 'c', state: 'frozen' })
    t.strictSame(await written('still'), frozen)
    await story.must('thaw', 'still')
    t.match(await still.ask(), { memory: 'whole' })
  })

  await t.test('evacuate --leave frozen: it stands still on the way and goes on at the other end', async (t) => {
    await story.must('launch', 'asleep', '--host', 'c')
    const asleep = await Keeper.start(story, 'asleep', program, 4, 0)
    await story.must('freeze', 'asleep')
    const frozen = await written('asleep')
    const { gaps } = await still.ask()
    await story.must('host', 'evacuate', 'c', '--leave', 'frozen')
    const moves = (await story.client.operations()).filter(({ kind, parent }) => kind === 'move' && parent !== null)
    t.strictSame([...new Set(moves.map(({ migration }) => migration?.mode))], ['frozen'])
    t.match(await story.container('asleep'), { state: 'frozen' })
    t.strictSame(await written('asleep'), frozen, 'who stood still before was not woken')
    const after = await still.ask()
    t.equal(after.gaps, gaps + 1, 'once: from before the first byte to the other host')
    t.equal(after.memory, 'whole')
    await story.must('thaw', 'asleep')
    t.match(await asleep.ask(), { memory: 'whole' })
    await story.must('host', 'uncordon', 'c')
  })

  await t.test('frozen at its limit of memory: it moves, stays frozen, and goes on when it gets more', async (t) => {
    await story.must('launch', 'hog', '--host', 'a', '--set', 'memory=48MiB', '--set', 'memory.policy=freeze')
    await story.must('file', 'push', program, 'hog:/bin/keeper', '--mode', '755')
    await story.lab.cli(['exec', 'hog', '--', 'sh', '-c', 'setsid keeper 96 0 </dev/null >/dev/null 2>&1 &'])
    const state = () => story.must<Container>('info', 'hog')
    await waitUntil(
      'it to be frozen at its limit',
      settleDeadlineMs,
      async () => (await state()).memory?.frozenAtLimit === true,
    )
    await story.must('move', 'hog', 'b')
    await waitUntil('its host to have said so', settleDeadlineMs, async () => (await state()).state === 'frozen')
    t.match(await state(), { host: 'b', memory: { frozenAtLimit: true } })
    await story.must('set', 'hog', 'memory=256MiB')
    await waitUntil('it to go on', settleDeadlineMs, async () => (await state()).state === 'running')
    let word: KeeperWord | null = null
    await waitUntil('its memory to be filled', settleDeadlineMs, async () => {
      word = await written('hog').catch(() => null)
      return word !== null
    })
    t.strictSame(await story.everyOneRunsOnce(['still', 'asleep', 'hog']), [])
  })
})
