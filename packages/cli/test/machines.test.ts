// Machines that can be asked for, who is asked, and what hosts have that containers claim.

import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'

t.test('machines hook: a URL, a program, or neither', async (t) => {
  const cluster = await fakeCluster(t)
  const url = 'https://machines.example/drover'
  t.match(await cluster.drover(['machines', 'hook', '--url', url]), { exitCode: 0, stdout: `POST ${url}\n` })
  const program = await cluster.drover(['machines', 'hook', '--', '/usr/local/bin/machines', '--site', 'one'])
  t.match(program, { exitCode: 0, stdout: '/usr/local/bin/machines --site one\n' })
  t.match(await cluster.drover(['machines', 'hook', '--reset']), { exitCode: 0 })
  const hooks = [{ url }, { command: ['/usr/local/bin/machines', '--site', 'one'] }, null]
  t.same(
    cluster.writes,
    hooks.map((machineHook) => ['POST', '/v1/policy', { machineHook }]),
  )
})

t.test('machines hook: what can’t be one is refused before anybody is asked', async (t) => {
  const cluster = await fakeCluster(t)
  const wrong: [string[], RegExp][] = [
    [['--url', 'machines.example'], /is not a URL/],
    [['--', 'machines'], /absolute path/],
    [['--url', 'http://x', '--reset'], /only one of them/],
    [['--reset', '--', '/bin/true'], /only one of them/],
  ]
  for (const [args, stderr] of wrong) {
    t.match(await cluster.drover(['machines', 'hook', ...args]), { exitCode: 2, stderr })
  }
  t.strictSame(cluster.writes, [])
})

t.test('devices are said of hosts and claimed by containers; features are asked for', async (t) => {
  const cluster = await fakeCluster(t)
  t.match(await cluster.drover(['host', 'set', 'a', '--device', 'gpu=4', '--device', 'fpga=0']), { exitCode: 0 })
  t.match(await cluster.drover(['set', 'web-1', 'claim=gpu=1', 'cpu-features=avx2,aes']), { exitCode: 0 })
  t.same(cluster.writes[0], ['POST', '/v1/hosts/a/set', { deviceCounts: { gpu: 4, fpga: null } }])
  t.same(cluster.writes[1]?.[2], { scheduling: { claim: { gpu: 1 }, cpuFeatures: ['avx2', 'aes'] } })
  t.match(await cluster.drover(['set', 'web-1', 'claim=gpu']), { exitCode: 2, stderr: /KIND=NUMBER/ })
  t.match(await cluster.drover(['host', 'set', 'a', '--device', 'gpu']), { exitCode: 2, stderr: /KIND=NUMBER/ })
})
