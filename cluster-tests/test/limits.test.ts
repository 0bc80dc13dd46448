// Limits from the command line to the kernel and back: felt inside, changed as the container runs, taken along by a live move.

import type { Container } from '@drover/protocol'
import t from 'tap'
import { engineOfStories, tell } from '../src/stories.ts'

const MiB = 2 ** 20

await tell(
  t,
  async (story) => {
    const { lab } = story
    await story.must('launch', 'web', '--set', 'memory=64MiB', '--set', 'cpuset=0')
    const cores = async () =>
      (await lab.cli(['exec', 'web', '--', 'grep', 'Cpus_allowed_list', '/proc/self/status'])).stdout
    /** MemTotal in kB: what `free` and `top` show as the machine's memory. */
    const seen = async () =>
      Number(/MemTotal:\s+(\d+)/.exec((await lab.cli(['exec', 'web', '--', 'cat', '/proc/meminfo'])).stdout)?.[1])
    const mtu = async () => (await lab.cli(['exec', 'web', '--', 'cat', '/sys/class/net/eth0/mtu'])).stdout
    const native = engineOfStories === 'native'

    await t.test('a limit of the launch is felt inside', async (t) => {
      if (native) t.match(await cores(), /:\s+0\n/)
      if (native) t.equal(await seen(), 64 * 1024)
      t.match(await story.container('web'), { spec: { limits: { memoryBytes: 64 * MiB, cpus: '0' } } })
    })

    await t.test('set changes it without a restart', async (t) => {
      const before = await story.container('web')
      await story.must('set', 'web', 'memory=128MiB', 'cpuset=1', 'network.rate=100mbit', 'network.mtu=1400')
      if (native) t.match(await cores(), /:\s+1\n/)
      if (native) t.equal(await seen(), 128 * 1024, 'seen at once')
      if (native) t.match(await mtu(), /^1400\n/)
      const after = await story.container('web')
      t.match(after, { state: 'running', initPid: before.initPid, starts: before.starts, operation: null })
      t.match(after.spec.limits, { memoryBytes: 128 * MiB, cpus: '1', networkBits: 100_000_000 })
    })

    await t.test(
      'what the kernel refuses fails with its reason, and all stays as it was',
      { skip: !native },
      async (t) => {
        const outcome = await lab.cli(['set', 'web', 'cpuset=900', 'memory=32MiB'])
        t.equal(outcome.code, 1)
        t.match(outcome.stderr, /set cpuset: the kernel refuses `900`/)
        t.match((await story.container('web')).spec.limits, { memoryBytes: 128 * MiB, cpus: '1' })
        t.match(await cores(), /:\s+1\n/)
      },
    )

    await t.test('limits go along with a live move', async (t) => {
      const before = await story.container('web')
      await story.must('move', 'web', story.otherHost(before))
      const after = await story.must<Container>('info', 'web')
      t.match(after, { state: 'running', starts: 1, spec: { limits: { cpus: '1', networkBits: 100_000_000 } } })
      t.not(after.host, before.host)
      if (native) t.match(await cores(), /:\s+1\n/)
      if (native) t.equal(await seen(), 128 * 1024)
      if (native) t.match(await mtu(), /^1400\n/)
      await story.must('set', 'web', 'cpuset=none')
      if (native) t.notMatch(await cores(), /:\s+1\n/)
    })

    t.strictSame(await story.everyOneRunsOnce(['web']), [])
  },
  { hosts: ['a', 'b'], controllers: 1 },
)
