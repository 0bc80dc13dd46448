// What a live move waits for, what it refuses, and which dumps are tried again.

import { DroverError, type PreflightFinding } from '@drover/protocol'
import t from 'tap'
import { checkpointPatiently, requireMovable } from '../src/migration/preflight.ts'
import { MigrationSession } from '../src/migration/session.ts'
import type { AgentParts } from '../src/parts.ts'

const finding = (change: Partial<PreflightFinding>): PreflightFinding => ({
  reason: 'UNREAD_NETLINK',
  pid: 3,
  process: 'dhcp',
  message: 'dhcp (3) has unread data',
  passing: true,
  ...change,
})
const session = () => new MigrationSession('op-1', 'c1', 'source', () => {})
const params = { container: 'c1', epoch: 1, directory: '/images' }

/** An engine that gives these answers, the last one for ever; errors are thrown. */
function scripted(answers: unknown[]): { parts: AgentParts; calls: () => number } {
  let calls = 0
  const call = async () => {
    const answer = answers[Math.min(calls++, answers.length - 1)]
    if (answer instanceof Error) throw answer
    return answer
  }
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  return { parts: { engine: { call }, log, host: 'a' } as unknown as AgentParts, calls: () => calls }
}
const seen = (...findings: PreflightFinding[]) => ({ findings, processes: 1, complete: true })

t.test('nothing in the way: one look', async (t) => {
  const { parts, calls } = scripted([seen()])
  await requireMovable(parts, session(), { container: 'c1' })
  t.equal(calls(), 1)
})

t.test('what can’t be carried is refused at once, with the process and the fallback', async (t) => {
  const { parts, calls } = scripted([
    seen(finding({ reason: 'IO_URING', message: 'db (9) has an io_uring open', passing: false })),
  ])
  await t.rejects(requireMovable(parts, session(), { container: 'c1' }), {
    code: 'NOT_MIGRATABLE',
    message: /db \(9\) has an io_uring open; move it cold/,
  })
  t.equal(calls(), 1)
})

t.test('what passes is waited for, also when another one has come meanwhile', async (t) => {
  const { parts, calls } = scripted([seen(finding({})), seen(finding({ pid: 4 })), seen()])
  await requireMovable(parts, session(), { container: 'c1' })
  t.equal(calls(), 2)
})

t.test('what should pass and does not is refused by its name', async (t) => {
  const { parts } = scripted([seen(finding({}))])
  await t.rejects(requireMovable(parts, session(), { container: 'c1' }), {
    code: 'NOT_MIGRATABLE',
    message: /dhcp \(3\)/,
  })
})

t.test('an engine that can’t look does not stop the move', async (t) => {
  const { parts } = scripted([new DroverError('BAD_REQUEST', 'method preflight is unknown')])
  await t.resolves(requireMovable(parts, session(), { container: 'c1' }))
})

t.test('a dump that met something passing is tried again, and counted', async (t) => {
  const failed = new DroverError('CHECKPOINT_FAILED', 'dump of c1: netlink: The socket has data to read')
  const unread = new DroverError('CHECKPOINT_FAILED', 'dump of c1: skqueue: Control messages in queue, not supported')
  const { parts, calls } = scripted([failed, unread, { figures: {} }])
  const trying = session()
  await checkpointPatiently(parts, trying, params)
  t.equal(calls(), 3)
  t.equal(trying.figures.checkpoint_retries, 2)
})

t.test('it is tried only so often, and not at all for what will not pass', async (t) => {
  const passing = scripted([new DroverError('CHECKPOINT_FAILED', 'In-flight connection (l) for 1')])
  await t.rejects(checkpointPatiently(passing.parts, session(), params), { code: 'CHECKPOINT_FAILED' })
  t.equal(passing.calls(), 4)
  const sent = scripted([new DroverError('CHECKPOINT_FAILED', 'In-flight connection (l) for 1')])
  await t.rejects(
    checkpointPatiently(sent.parts, session(), params, () => false),
    { code: 'CHECKPOINT_FAILED' },
  )
  t.equal(sent.calls(), 1, 'images of another dump were sent')
  const lasting = scripted([new DroverError('CHECKPOINT_FAILED', 'Can’t dump nested pid namespace')])
  await t.rejects(checkpointPatiently(lasting.parts, session(), params), { code: 'CHECKPOINT_FAILED' })
  t.equal(lasting.calls(), 1)
})
