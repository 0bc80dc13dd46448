// What is asked of a container at any time: while its disk is copied, its memory is dumped, and on its way to another host. Nothing is refused for
// that, nothing that was taken is lost, and a log that is followed goes on.

import { DroverError, type FileEntry } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOfStories, settleDeadlineMs, tell } from '../src/stories.ts'

const native = engineOfStories === 'native'

await tell(t, async (story) => {
  await story.must('launch', 'web', '--host', 'a')
  const done = { commands: 0, cut: 0, files: 0 }
  let over = false
  const commands = async () => {
    while (!over) {
      try {
        t.equal(await story.sh('web', 'echo x'), 'x')
        done.commands += 1
      } catch (thrown) {
        // It had begun when the container was dumped.
        if (!(thrown instanceof DroverError) || thrown.code !== 'CANCELLED') throw thrown
        done.cut += 1
      }
    }
  }
  const plain = { offset: 0, truncate: true, mode: null, uid: null, gid: null }
  const files = async () => {
    for (; !over; done.files += 1) {
      const file = { ...plain, path: `/root/file-${done.files}`, dataBase64: 'eA==' }
      await story.client.inside('web', 'fileWrite', file)
    }
  }
  let log = ''
  const reading = new AbortController()
  const follow = async () => {
    for await (const part of story.client.logs('web', { follow: true, tailBytes: null, signal: reading.signal }))
      log += part.toString()
  }
  const following = follow().catch((thrown) => (reading.signal.aborted ? undefined : Promise.reject(thrown)))
  const asking = Promise.all([commands(), commands(), files()])
  const wholeTime = async (work: () => Promise<void>) => {
    await Promise.race([work(), Promise.all([asking, following])])
    t.notOk(over)
  }

  await t.test('as it is copied and dumped: commands and files wait for the moment’s end', async () => {
    await wholeTime(async () => {
      for (const name of ['one', 'two']) {
        await story.must('copy', 'web', name)
        await story.must('snapshot', 'create', 'web', name, ...(native ? ['--memory'] : []))
      }
    })
  })

  await t.test('as it moves: they are carried out here or there', async (t) => {
    await wholeTime(async () => {
      for (const host of ['b', 'c', 'a', 'b']) {
        await story.must('move', 'web', host)
        await story.sh('web', `echo on ${host} >>/var/log/console.log`)
      }
    })
    over = true
    await asking
    t.ok(done.commands > 0 && done.files > 0, JSON.stringify(done))
    const listed = await story.must<FileEntry[]>('file', 'ls', 'web:/root')
    const there = new Set(listed.map(({ name }) => name))
    for (let each = 0; each < done.files; each += 1) if (!there.has(`file-${each}`)) t.fail(`file-${each} is lost`)
  })

  await t.test('a log that is followed is read on where the container is', async (t) => {
    await waitUntil('the last line', settleDeadlineMs, () => log.includes('on b\non c\non a\non b\n'))
    reading.abort()
    await following
    t.equal(log.split('on a\n').length, 2, 'each line once')
  })
})
