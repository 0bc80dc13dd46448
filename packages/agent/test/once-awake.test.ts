// Asked while a container stands still: waited for when that ends by itself, refused at once when it doesn't.

import { DroverError, type ErrorCode } from '@drover/protocol'
import t from 'tap'
import type { EnginePort, ExecPort } from '../src/engine-port.ts'
import type { MigrationSession } from '../src/migration/session.ts'
import { onceAwake } from '../src/once-awake.ts'

const params = { container: 'c1', command: ['true'], environment: {}, directory: null, user: null, terminal: null }
const always = Number.POSITIVE_INFINITY
const source = { side: 'source', step: 'switched', ended: false, switches: true } as const

function fixture(withinMs?: number) {
  const now = { held: false, mirrored: 'frozen', refusals: 0, code: 'WRONG_STATE' as ErrorCode, asked: 0 }
  const sessions: Pick<MigrationSession, 'side' | 'step' | 'ended' | 'switches'>[] = []
  const session = {} as ExecPort
  const answer = async () => {
    now.asked += 1
    if (now.asked > now.refusals) return session
    throw new DroverError(now.code, 'exec in c1: it is frozen, must be running')
  }
  const engine = { call: answer, exec: answer } as unknown as EnginePort
  const known = {
    mirror: { get: () => ({ state: now.mirrored }) as never },
    snapshots: { held: () => now.held },
    sessions: { ofContainer: () => sessions },
  }
  const awake = onceAwake(engine, known, withinMs)
  const look = () => awake.call('get', { container: 'c1' }) as unknown as Promise<ExecPort>
  return { now, sessions, session, exec: () => awake.exec(params), look }
}

t.test('held for a snapshot, arriving, thawed since: it runs when it can', async (t) => {
  const arriving = { side: 'destination', step: 'restored', ended: false, switches: false } as const
  const table = [
    { still: { held: true }, sessions: [] },
    { still: { mirrored: 'running' }, sessions: [] },
    { still: {}, sessions: [arriving] },
  ]
  for (const { still, sessions } of table) {
    for (const code of ['WRONG_STATE', 'BUSY'] as const) {
      const one = fixture()
      Object.assign(one.now, still, { refusals: 3, code })
      one.sessions.push(...sessions)
      t.equal(await (code === 'BUSY' ? one.look() : one.exec()), one.session, JSON.stringify({ still, sessions }))
      t.equal(one.now.asked, 4)
    }
  }
})

t.test('on its way: nothing is asked until it is known where it goes on', async (t) => {
  const gone = fixture()
  gone.sessions.push(source)
  Object.assign(gone.now, { refusals: always, code: 'CONTAINER_NOT_FOUND', mirrored: 'gone' })
  setTimeout(() => {
    t.equal(gone.now.asked, 0)
    gone.sessions[0] = { ...source, step: 'cleaned', ended: true }
  }, 60)
  await t.rejects(gone.look(), { code: 'BUSY', retryable: true, context: { left: true } })
  gone.sessions.push({ side: 'destination', step: 'released', ended: true, switches: false })
  await t.rejects(gone.look(), { code: 'CONTAINER_NOT_FOUND' }, 'it came back, and is gone since')
  const kept = fixture()
  kept.sessions.push(source)
  setTimeout(() => {
    t.equal(kept.now.asked, 0)
    kept.sessions[0] = { ...source, step: 'failed', ended: true }
  }, 60)
  t.equal(await kept.exec(), kept.session, 'the move has failed: here, as before')
})

t.test('frozen by its user: refused at once', async (t) => {
  const { now, exec } = fixture()
  now.refusals = always
  await t.rejects(exec(), { code: 'WRONG_STATE', message: /frozen/ })
  t.equal(now.asked, 1)
})

t.test('other errors are not asked about again, and the waiting has an end', async (t) => {
  const other = fixture()
  Object.assign(other.now, { held: true, refusals: 1, code: 'BAD_REQUEST' })
  await t.rejects(other.exec(), { code: 'BAD_REQUEST' })
  const long = fixture(50)
  Object.assign(long.now, { held: true, refusals: always })
  await t.rejects(long.exec(), { code: 'WRONG_STATE' })
  t.ok(long.now.asked > 1)
})
