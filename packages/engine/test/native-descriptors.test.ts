// An engine without a free file descriptor: who connects waits until there is one, and the engine doesn't ask for it over and over.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { EngineClient } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const withoutMs = 2_000

t.test('native descriptors', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('a', 79)
  t.teardown(() => stage.network.close())
  const pid = stage.host.enginePid
  const limit = (most: number) => execFileSync('prlimit', ['--pid', `${pid}`, `--nofile=${most}:`])
  const usedMs = () => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) * 10
  }
  limit(1)
  let answered = false
  const answer = EngineClient.connect(stage.host.socket).then(async (waiting) => {
    t.teardown(() => waiting.close())
    const { containers } = await waiting.call('list', {}, { deadlineMs: 60_000 })
    answered = true
    return containers
  })
  const before = usedMs()
  await pause(withoutMs)
  t.notOk(answered)
  t.ok(usedMs() - before < withoutMs / 2, 'it sleeps between its attempts')
  limit(4096)
  t.same(await answer, [])
  t.same((await stage.client.call('list', {})).containers, [], 'those that were there were served all the while')
})
