// An uneven start is put right by the cluster itself: each move live, with its reason, and then nothing more happens.

import type {
  ClusterEvent,
  Container,
  ContainerExplanation,
  LaunchExplanation,
  Operation,
  RebalancePlanView,
  RebalanceRecord,
  RebalanceStatus,
} from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import t from 'tap'
import { engineOfStories, type Story, tell } from '../src/stories.ts'

const mebibyte = 2 ** 20
/** Small hosts, so that a few containers fill a good part of one. */
const capacity = { cpuMilli: 64_000, memoryBytes: 512 * mebibyte, diskBytes: 2 ** 40, pids: 100_000 }
const names = Array.from({ length: 6 }, (_, index) => `web-${index + 1}`)
/** Six moves on a busy machine, a plan every second. */
const deadlineMs = 240_000

await tell(
  t,
  async (story) => {
    if (engineOfStories === 'simulated') {
      await t.test('rebalancing', async (t) => t.pass('left out', { skip: 'pretended containers hold no memory' }))
      return
    }
    const [first] = story.lab.hosts.map(({ name }) => name) as [string]

    await t.test('all begin on one host, and hold memory', async (t) => {
      await story.must('pool', 'set', 'default', '--policy', 'balance')
      await story.must('launch', ...names, '--host', first, '--memory', '64MiB', '--disk', '0')
      await Promise.all(names.map((name) => hold(story, name)))
      t.strictSame(await perHost(story), { [first]: 6 })
    })

    await t.test('a dry run says what it would do, and does nothing', async (t) => {
      await waitUntil('the load to be measured', deadlineMs, async () => {
        const { imbalanceBefore, moves } = await story.must<RebalancePlanView>('rebalance', 'plan')
        // What it holds in memory and on its disk is what would be sent.
        return imbalanceBefore > 0.1 && (moves[0]?.bytes ?? 0) >= 40 * mebibyte
      })
      await turn(story, 'dry-run')
      await waitUntil('a dry run', deadlineMs, async () => (await history(story)).length > 0)
      const [record] = await history(story)
      t.match(record, { trigger: 'auto', operation: null, plan: { verdict: 'PLANNED' } })
      t.strictSame(await perHost(story), { [first]: 6 })
    })

    await t.test('automatic: the cluster evens itself out, live, and says why of each move', async (t) => {
      await turn(story, 'on')
      await waitUntil(
        'two on each host',
        deadlineMs,
        async () => Object.values(await perHost(story)).join() === '2,2,2',
      )
      await waitUntil('the end of balancing', deadlineMs, async () => {
        const { last, operation } = await story.must<RebalanceStatus>('rebalance', 'auto', 'status')
        return operation === null && last?.plan.verdict === 'BALANCED'
      })
      const moves = (await story.client.operations()).filter(({ kind }) => kind === 'move')
      t.equal(moves.length, 4, 'no more moves than it takes')
      for (const move of moves) {
        t.match(move, { state: 'done', migration: { mode: 'live', source: first } })
        t.match(
          move.parameters.reason,
          /^(IMBALANCE|HOT_HOST): .* is used to \d+ %.*; about \d+ ms of blackout, \d+(\.\d)? MiB to send/,
        )
      }
      const containers = await story.must<Container[]>('ls')
      t.ok(
        containers.every(({ starts }) => starts === 1),
        'none was started anew',
      )
      t.strictSame(await story.everyOneRunsOnce(names), [])
      const explained = await story.lab.cli(['rebalance', 'auto', 'history'])
      t.match(explained.stdout, /IMBALANCE.*is used to/)
    })

    await t.test('each move’s reason is kept: in the events, and in what explain says', async (t) => {
      const [moved] = (await story.must<Container[]>('ls')).filter(({ host }) => host !== first) as [Container]
      const { stdout } = await story.lab.cli(['events', '--json'])
      const events = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as ClusterEvent)
      const planned = events.filter(({ kind }) => kind === 'migration.planned')
      t.equal(planned.length, 4)
      for (const { message } of planned)
        t.match(message, /live move from .*: (IMBALANCE|HOT_HOST): .* is used to \d+ %/)
      const { lastMove } = await story.must<ContainerExplanation>('explain', moved.name)
      t.match(lastMove, { from: first, to: moved.host, reason: /^(IMBALANCE|HOT_HOST): / })
    })

    await t.test('off is off, and keeps the settings', async (t) => {
      await story.must('rebalance', 'auto', 'off')
      const { settings } = await story.must<RebalanceStatus>('rebalance', 'auto', 'status')
      t.match(settings, { mode: 'off', stopAt: 0.02 })
      const applied = await story.must<Operation>('rebalance', 'apply')
      t.match(applied, { state: 'done', progress: { message: /^nothing to move/ } })
    })

    await t.test('a launch that fits nowhere: one moves live to make room, and says for whom', async (t) => {
      // Two of 64 MiB are on each of three hosts of 512 MiB: 448 MiB are free on none, until one of the two is elsewhere.
      const input = JSON.stringify({ memoryBytes: 448 * mebibyte, diskBytes: 0 })
      const { room } = await story.lab.query<LaunchExplanation>(['explain', '--spec', '-'], { input })
      t.equal(room?.moves.length, 1)
      await story.must('launch', 'large', '--memory', '448MiB', '--disk', '0')
      const large = await story.container('large')
      const operations = await story.client.operations()
      const launch = operations.find(({ kind, target }) => kind === 'launch' && target === 'large')
      const made = operations.filter(({ parent }) => parent === launch?.id)
      t.equal(made.length, 1)
      t.match(made[0], {
        kind: 'move',
        state: 'done',
        migration: { mode: 'live', source: large.host },
        parameters: { reason: `makes room for large on ${large.host}` },
      })
      t.equal((await story.container(made[0]!.target)).starts, 1, 'it was not started anew')
      t.strictSame(await story.everyOneRunsOnce([...names, 'large']), [])
      const none = await story.lab.cli(['launch', 'more', '--memory', '448MiB', '--disk', '0', '--no-make-room'])
      t.not(none.code, 0)
      t.match(none.stderr, /NO_CAPACITY|no host/)
    })

    await t.test('a more important launch stops one that may be, which starts again when there is room', async (t) => {
      const { host } = await story.container('large')
      const rules = { memoryBytes: 448 * mebibyte, diskBytes: 0, host, scheduling: { priority: 10 } }
      const explain = () =>
        story.lab.query<LaunchExplanation>(['explain', '--spec', '-'], { input: JSON.stringify(rules) })
      t.equal((await explain()).room, null, 'nobody is stopped unasked')
      await story.must('set', 'large', 'preemptible=true')
      t.match((await explain()).room, { moves: [], stops: [{ container: 'large', host, priority: 0 }] })
      const asked = ['--host', host, '--priority', '10', '--memory', '448MiB', '--disk', '0']
      await story.must('launch', 'important', ...asked)
      const large = await story.container('large')
      t.match(large, { host, state: 'stopped', preempted: { by: 'important' } })
      t.match(await story.container('important'), { host, state: 'running' })
      t.strictSame(await story.lab.hostsRunning(large.id), [])
      const listed = await story.lab.cli(['ls', '--state', 'preempted'])
      t.match(listed.stdout, /large .*preempted .*preempted by important \(priority 10\)/)
      await story.must('delete', 'important', '--yes')
      await waitUntil('large to run again', deadlineMs, async () => {
        return (await story.container('large')).state === 'running'
      })
      t.match(await story.container('large'), { host, starts: 2 })
      t.strictSame(await story.everyOneRunsOnce([...names, 'large']), [])
    })
  },
  { capacity },
)

/** 32 MiB in a file system in memory, and 8 MiB on its disk, which move along. */
async function hold(story: Story, name: string): Promise<void> {
  const script =
    'mkdir -p /run/held && mount -t tmpfs held /run/held 2>/dev/null; dd if=/dev/zero of=/run/held/bytes bs=1M count=32 && dd if=/dev/zero of=/held bs=1M count=8'
  const { code, stderr } = await story.lab.cli(['exec', name, '--', 'sh', '-c', script])
  if (code !== 0) throw new Error(`hold memory in ${name}: ${stderr}`)
}

function turn(story: Story, mode: 'on' | 'dry-run'): Promise<unknown> {
  const restraint = ['--interval', '1s', '--start-above', '0.05', '--stop-at', '0.02', '--min-gain', '0.02']
  return story.must('rebalance', 'auto', mode, ...restraint, '--host-cooldown', '1s')
}

function history(story: Story): Promise<RebalanceRecord[]> {
  return story.must<RebalanceRecord[]>('rebalance', 'auto', 'history')
}

async function perHost(story: Story): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const { host } of await story.must<Container[]>('ls')) counts[host] = (counts[host] ?? 0) + 1
  return Object.fromEntries(Object.entries(counts).sort())
}
