// What is kept of the sessions of moves: a closed one only to report it, and none that nobody speaks of.

import t from 'tap'
import { MigrationSession } from '../src/migration/session.ts'
import { MigrationSessions } from '../src/migration/sessions.ts'
import { WhileOpen } from '../src/migration/while-open.ts'

const nobody: ReadonlySet<string> = new Set()
/** Longer than a session is remembered. */
const longMs = 60_000

t.test('a closed session keeps nothing of what the move held, whatever undoing it meets', async (t) => {
  const held = new WhileOpen<string>()
  const session = new MigrationSession('op', 'c1', 'source', () => {})
  held.set(session, 'the list of its files')
  session.defer(() => {
    throw new Error('can’t be undone')
  })
  t.equal(held.get(session), 'the list of its files')
  await session.close()
  t.equal(held.get(session), null)
  held.set(session, 'came too late')
  t.equal(held.get(session), null, 'nor what a step that was still running brings')
})

t.test('what the engine forgets with a container is not asked of it again when that is deleted', async (t) => {
  const undone: string[] = []
  const deferred = () => {
    const session = new MigrationSession('op', 'c1', 'source', () => {})
    session.defer(() => undone.push('the connection'))
    session.defer(() => undone.push('the hash of its tree'), { ofContainer: true })
    return session
  }
  await deferred().close({ containerGoes: true })
  t.same(undone.splice(0), ['the connection'])
  await deferred().close()
  t.same(undone.splice(0), ['the hash of its tree', 'the connection'])
})

t.test('a session is reported for a while after its end, then forgotten', (t) => {
  const sessions = new MigrationSessions(() => {})
  const session = sessions.open('op', 'c1', 'source')
  session.advance('cleaned')
  sessions.prune(nobody)
  t.equal(sessions.all().length, 1, 'the leader may not have heard of it')
  session.changedAtMs -= longMs
  sessions.prune(new Set(['op']))
  t.equal(sessions.all().length, 1, 'an assignment still speaks of it')
  sessions.prune(nobody)
  t.equal(sessions.all().length, 0)
  t.ok(session.closed)
  t.end()
})

t.test('a session that waits for a move which is over elsewhere is closed and forgotten', async (t) => {
  const sessions = new MigrationSessions(() => {})
  const session = sessions.open('op', 'c1', 'destination')
  let undone = false
  session.defer(() => {
    undone = true
  })
  session.advance('prepared')
  sessions.prune(nobody)
  t.notOk(session.closed, 'its assignment may be on its way')
  session.changedAtMs -= longMs
  sessions.prune(nobody)
  t.ok(session.closed)
  t.ok(undone, 'what it held is released')
  t.equal(sessions.get('op'), null)
})

t.test('who comes before a session is prepared waits for that, and not for ever', async (t) => {
  const sessions = new MigrationSessions(() => {})
  const unknown = sessions.untilPrepared('op', longMs)
  const session = sessions.open('op', 'c1', 'destination')
  const known = sessions.untilPrepared('op', longMs)
  sessions.open('other', 'c2', 'destination').advance('prepared')
  let woken = false
  void known.then(() => {
    woken = true
  })
  await Promise.resolve()
  t.notOk(woken, 'another session is none of its affair')
  session.advance('prepared')
  await Promise.all([unknown, known])
  await sessions.untilPrepared('op', longMs)
  const keepsRunning = setTimeout(() => {}, longMs)
  await sessions.untilPrepared('never', 1)
  clearTimeout(keepsRunning)
})

t.test('sessions under way are counted until their last step, after which a container has just moved', (t) => {
  const told: string[] = []
  const sessions = new MigrationSessions((container, step) => told.push(`${container} ${step}`))
  const leaving = sessions.open('op-1', 'c1', 'source')
  const coming = sessions.open('op-2', 'c2', 'destination')
  t.equal(sessions.underWay, 2)
  t.equal(sessions.hasJustMoved('c1'), false)
  leaving.advance('cleaned')
  coming.advance('restored')
  t.equal(sessions.underWay, 1, 'one that is restored still waits')
  t.equal(sessions.hasJustMoved('c1'), true)
  t.equal(sessions.hasJustMoved('c2'), false)
  leaving.changedAtMs -= 60_000
  t.equal(sessions.hasJustMoved('c1'), false, 'a while ago')
  t.strictSame(told, ['c1 cleaned', 'c2 restored'])
  t.end()
})
