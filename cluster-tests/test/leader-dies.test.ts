// The leading controller is killed in the middle of whatever is going on: the next one goes on with it.

import type { Container, Operation } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { setTrap } from '../src/phase-trap.ts'
import { settleDeadlineMs, tell } from '../src/stories.ts'
import { Witness } from '../src/witness.ts'

await tell(t, async (story) => {
  const { lab } = story
  const names = Array.from({ length: 8 }, (_, index) => `web-${index + 1}`)

  /** Kills the leader when the trap springs; brings it back with `recover`. */
  const killLeader = async () => {
    const leader = await lab.leader()
    await lab.kill(leader, 'controller')
    return leader
  }
  const recover = async (leader: string) => {
    await lab.restart(leader, 'controller')
    const status = await lab.whole()
    t.ok(status.leader, `${status.leader} leads`)
  }

  await t.test('leader killed during launches: each container is there, once', async (t) => {
    let killed = ''
    const trap = await setTrap(lab, null, 'container.running', async () => {
      killed = await killLeader()
    })
    const launched = lab.cli(['launch', 'web', '--count', '8', '--json'])
    await trap.sprung
    const outcome = await launched
    t.equal(outcome.code, 0, outcome.stderr)
    t.strictSame(await story.everyOneRunsOnce(names), [])
    for (const { name, starts } of await story.must<Container[]>('ls')) t.equal(starts, 1, `${name} was started once`)
    await recover(killed)
  })

  for (const phase of ['preparing', 'precopying', 'switching', 'committed'] as const) {
    await t.test(`leader killed while a move is ${phase}: it ends, and one copy goes on`, async (t) => {
      const before = await story.container('web-1')
      const witness = await Witness.of(lab, before)
      t.teardown(() => witness.close())
      const leader = await lab.leader()
      const trap = await setTrap(lab, 'web-1', phase, () => lab.kill(leader, 'controller'))
      const { id } = await story.client.move('web-1', { host: story.otherHost(before) })
      await trap.sprung
      const ended = await story.must<Operation>('ops', 'wait', id).catch(() => story.ended(id))
      t.match(ended.state, /^(done|failed)$/, `it ended ${ended.state} ${ended.error?.message ?? ''}`)
      t.strictSame(await story.everyOneRunsOnce(names), [])
      const after = await story.container('web-1')
      t.equal(after.host !== before.host, ended.state === 'done', 'it is where the operation says')
      const verdict = await witness.verdict(after)
      t.ok(verdict.unbroken, verdict.detail)
      await recover(leader)
    })
  }

  await t.test('leader killed during an evacuation: it goes on to the end', async (t) => {
    const before = await story.must<Container[]>('ls')
    const host = before.find(({ name }) => name === 'web-2')?.host as string
    const leaving = before.filter((container) => container.host === host).length
    let killed = ''
    const trap = await setTrap(lab, null, 'migration.committed', async () => {
      killed = await killLeader()
    })
    const evacuated = lab.cli(['host', 'evacuate', host])
    await trap.sprung
    const outcome = await evacuated
    t.equal(outcome.code, 0, outcome.stderr || outcome.stdout)
    const after = await story.must<Container[]>('ls')
    t.strictSame(
      after.filter((container) => container.host === host),
      [],
      `all ${leaving} have left ${host}`,
    )
    t.strictSame(await story.everyOneRunsOnce(names), [])
    for (const { name, starts } of after) t.equal(starts, 1, `${name} was not restarted`)
    await recover(killed)
    await story.must('host', 'restore', host)
  })

  await t.test('no majority: writes are refused by name and nothing changes; it recovers by itself', async (t) => {
    const [first, second] = lab.hosts
    await lab.kill(first?.name as string, 'controller')
    await lab.kill(second?.name as string, 'controller')
    // Until the last one has noticed, it appends entries that a later majority may still commit.
    await waitUntil('the controller that is left to lead no more', settleDeadlineMs, async () => {
      return (await lab.status()) === null
    })
    const refused = await lab.cli(['launch', 'never', '--json'], { deadlineMs: 90_000 })
    t.not(refused.code, 0)
    t.match(refused.stderr, /majority|quorum|controller/i)
    await lab.restart(first?.name as string, 'controller')
    await lab.restart(second?.name as string, 'controller')
    await lab.whole()
    t.strictSame(await story.everyOneRunsOnce(names), [])
  })
})
