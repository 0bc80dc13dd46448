// Profiles on containers that run, containers that go when they stop or that stay whatever is asked, and the figures of all that: through the
// command line and the API.

import type { Container } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOfStories, type Story, settleDeadlineMs, tell } from '../src/stories.ts'

t.setTimeout(600_000)
const native = engineOfStories === 'native'
const MiB = 2 ** 20

await tell(t, async (story: Story) => {
  const { lab } = story
  const limitsOf = async (name: string) => (await story.container(name)).spec.limits ?? {}
  const seen = async (name: string) => (await lab.cli(['exec', name, '--', 'grep', 'MemTotal', '/proc/meminfo'])).stdout

  await t.test('a profile that changes reaches a container that runs, but for what is its own', async (t) => {
    await story.must('profile', 'create', 'small', 'memory=64MiB', 'pids=200', '--label', 'team=blue')
    await story.must('launch', 'web', 'db', '--profile', 'small', '--set', 'cpu=0.5')
    t.match(await story.container('web'), { spec: { labels: { team: 'blue' }, limits: { memoryBytes: 64 * MiB } } })
    if (native) t.match(await seen('web'), /MemTotal: +65536 kB/)
    await story.must('set', 'db', 'memory=80MiB')
    await story.must('profile', 'set', 'small', 'memory=96MiB')
    await waitUntil('it follows', settleDeadlineMs, async () => (await limitsOf('web')).memoryBytes === 96 * MiB, 250)
    if (native)
      await waitUntil(
        'it is seen inside',
        settleDeadlineMs,
        async () => /MemTotal: +98304 kB/.test(await seen('web')),
        250,
      )
    t.match(await limitsOf('db'), { memoryBytes: 80 * MiB, pids: 200 }, 'its own stays')
    t.match(await story.container('web'), { state: 'running', starts: 1 })
    const expanded = await story.must<{ key: string; from: string }[]>('info', 'db', '--expanded')
    t.match(
      expanded.filter(({ key }) => key.startsWith('limits.')).map(({ key, from }) => `${key} ${from}`),
      ['limits.cpuMilli container', 'limits.memoryBytes container', 'limits.pids small'],
    )
    t.match((await lab.cli(['profile', 'rm', 'small'])).stderr, /db, web use it/)
  })

  await t.test('ephemeral: powered off inside, it is gone; a reboot is no end', async (t) => {
    await story.must('launch', 'job', 'told', '--ephemeral')
    if (native) {
      await lab.cli(['exec', 'job', '--', 'reboot'])
      await waitUntil('it has rebooted', settleDeadlineMs, async () => (await story.container('job')).starts === 2, 250)
      await lab.cli(['exec', 'job', '--', 'poweroff'])
    } else await story.must('stop', 'job')
    await story.must('stop', 'told')
    const left = async () =>
      (await story.must<Container[]>('ls')).filter(({ name }) => name === 'job' || name === 'told').length
    await waitUntil('they are gone', settleDeadlineMs, async () => (await left()) === 0, 250)
    t.pass('gone')
  })

  await t.test('protected: refused until that is taken away', async (t) => {
    await story.must('set', 'web', 'protection.delete=true')
    const refused = await lab.cli(['delete', 'web', '--yes'])
    t.match(refused, { code: 1, stderr: /protected.*drover set web protection\.delete=false/ })
    await story.must('set', 'web', 'protection.delete=false')
    await story.must('delete', 'web', '--yes')
  })

  await t.test('metrics: what Prometheus would read', async (t) => {
    const read = async () => {
      const url = `${lab.endpoints[0]}/metrics`
      return (await fetch(url, { headers: { authorization: `Bearer ${lab.secret}` } })).text()
    }
    const text = await read()
    t.match(text, /^drover_containers\{state="running"\} 1$/m)
    t.match(text, /^drover_container_memory_bytes\{container="db",host="[a-z]+"\} \d+$/m)
    t.match(text, /^drover_operations_ended_total\{kind="delete",state="done"\} \d+$/m)
  })
})
