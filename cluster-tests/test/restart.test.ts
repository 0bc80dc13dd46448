// Ends of inits on real containers: one that reboots is there again, whatever the policy; one that is killed comes back by its
// policy; one that powers off stays down.

import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOfStories, settleDeadlineMs, tell } from '../src/stories.ts'

await tell(
  t,
  async (story) => {
    const { lab } = story
    const native = engineOfStories === 'native'
    await story.must('launch', 'kept', '--set', 'restart=on-failure')
    await story.must('launch', 'plain')
    const killInit = async (name: string) => {
      const { initPid } = await story.container(name)
      if (initPid === null) throw new Error(`${name} has no init to kill`)
      process.kill(initPid, 'SIGKILL')
    }
    const comesTo = (name: string, state: string, starts: number) =>
      waitUntil(`${name} to be ${state} after ${starts} starts`, settleDeadlineMs, async () => {
        const container = await story.container(name)
        return container.state === state && container.starts === starts && container.operation === null
      })

    await t.test('a reboot inside is a reboot, not an end', { skip: !native }, async (t) => {
      await story.must('launch', 'rebooter')
      for (const starts of [2, 3]) {
        await lab.cli(['exec', 'rebooter', '--', 'reboot'])
        await comesTo('rebooter', 'running', starts)
      }
      t.match(await story.container('rebooter'), { desired: 'running', message: null })
      const events = (await lab.cli(['events'])).stdout.split('\n').filter((line) => line.includes('rebooter'))
      t.notOk(
        events.find((line) => line.includes('container.stopped')),
        'nobody took it for stopped in between',
      )
    })

    await t.test('an init that is killed is started again, and again', { skip: !native }, async (t) => {
      for (const starts of [2, 3]) {
        await killInit('kept')
        await comesTo('kept', 'running', starts)
      }
      t.match(await story.container('kept'), { desired: 'running', message: null })
    })

    await t.test('without a policy it stays as it ended', { skip: !native }, async (t) => {
      await killInit('plain')
      await comesTo('plain', 'stopped', 1)
      t.match(await story.container('plain'), { desired: 'stopped', message: /killed by signal 9/ })
    })

    await t.test('a power-off is no failure: it stays down', { skip: !native }, async (t) => {
      await lab.cli(['exec', 'kept', '--', 'poweroff'])
      await comesTo('kept', 'stopped', 3)
      t.match(await story.container('kept'), { desired: 'stopped', message: 'powered off' })
    })

    await t.test('restart: stopped and started in one, by its init or by force', async (t) => {
      await story.must('launch', 'again')
      await story.must('restart', 'again')
      t.match(await story.container('again'), { state: 'running', desired: 'running', starts: 2, operation: null })
      await story.must('restart', 'again', '--force')
      t.match(await story.container('again'), { state: 'running', desired: 'running', starts: 3, operation: null })
    })

    await t.test('a stop is one, whatever the policy', async (t) => {
      await story.must('launch', 'always', '--set', 'restart=always')
      await story.must('stop', 'always')
      t.match(await story.container('always'), { state: 'stopped', desired: 'stopped', starts: 1 })
    })
  },
  { hosts: ['a'], controllers: 1 },
)
