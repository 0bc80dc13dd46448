// RaftLog with three members in one process, on loopback addresses.

import { join } from 'node:path'
import { isRaftAvailable, RaftLog } from '@drover/raft'
import t, { type Test } from 'tap'
import { DEADLINE_MS, freeMembers, RaftCluster, type Tuning, until } from './raft-cluster.ts'
import { RecordingMachine } from './recording-machine.ts'

const addon = isRaftAvailable()
const options = addon.available ? {} : { skip: addon.reason ?? true }
const names = (prefix: string, count: number) => Array.from({ length: count }, (_, number) => `${prefix}-${number}`)

async function cluster(t: Test, tuning: Tuning = {}, size = 3): Promise<RaftCluster> {
  const made = new RaftCluster(await freeMembers(size), tuning)
  t.teardown(() => made.remove())
  await made.startAll()
  return made
}

t.test('three members apply the same entries in the same order, and a proposal gets its result', options, async (t) => {
  const raft = await cluster(t)
  const { log, id } = await raft.leader()
  t.same(await log.propose(Buffer.from('first'), DEADLINE_MS), { index: 1, result: '1:first' })
  await raft.proposeMany(names('entry', 300))
  for (const member of raft.members) await raft.applied(member.id, 301)
  const expected = ['first', ...names('entry', 300)]
  for (const member of raft.members) t.same(raft.machines.get(member.id)!.entries, expected)
  t.match(log.status(), { role: 'leader', leader: { id }, appliedIndex: 301 })
})

t.test('one member alone is a cluster, too', options, async (t) => {
  const raft = await cluster(t, {}, 1)
  await raft.proposeMany(names('entry', 3))
  t.equal(raft.machines.get(1)!.appliedIndex, 3)
})

t.test('a follower refuses with NOT_LEADER and names the leader', options, async (t) => {
  const raft = await cluster(t)
  const [follower] = await raft.followers()
  const leader = await raft.leader()
  const expected = {
    code: 'NOT_LEADER',
    retryable: true,
    context: { leader: raft.members.find((member) => member.id === leader.id) },
  }
  await t.rejects(follower!.log.propose(Buffer.from('x'), DEADLINE_MS), expected)
  await t.rejects(follower!.log.barrier(DEADLINE_MS), expected)
})

t.test('a proposal made during an election waits for it', options, async (t) => {
  const raft = await cluster(t)
  const outcomes = await Promise.allSettled(
    [...raft.logs.values()].map((log) => log.propose(Buffer.from('early'), DEADLINE_MS)),
  )
  const accepted = outcomes.filter((outcome) => outcome.status === 'fulfilled')
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected')
  t.equal(accepted.length, 1, 'the one that was elected took it')
  t.ok(refused.every(({ reason }) => (reason as { code: string }).code === 'NOT_LEADER'))
})

t.test(
  'a leader without a majority refuses with NO_QUORUM, and so does a member that finds no leader',
  options,
  async (t) => {
    const raft = await cluster(t)
    const followers = await raft.followers()
    const { log, id } = await raft.leader()
    await Promise.all(followers.map((follower) => raft.closeMember(follower.id)))
    await t.rejects(log.propose(Buffer.from('cut off'), DEADLINE_MS), { code: 'NO_QUORUM', retryable: true })
    await until('the leader steps down', () => log.status().role !== 'leader')
    await t.rejects(log.propose(Buffer.from('no leader'), 300), { code: 'NO_QUORUM', retryable: true })
    await t.rejects(log.barrier(300), { code: 'NO_QUORUM' })
    t.equal(raft.machines.get(id)!.appliedIndex, 0, 'nothing was applied')

    await raft.startMember(followers[0]!.id)
    await raft.proposeMany(['majority again'])
    t.ok(raft.machines.get(followers[0]!.id)!.appliedIndex > 0)
  },
)

t.test('closing the leader hands leadership over at once', options, async (t) => {
  const raft = await cluster(t)
  await raft.proposeMany(names('before', 5))
  const { id } = await raft.leader()
  await raft.closeMember(id)
  const next = await raft.leader()
  t.not(next.id, id)
  await raft.proposeMany(names('after', 5))
  t.equal(raft.machines.get(next.id)!.appliedIndex, 10)
})

t.test('a restarted member catches up by log, and skips what its state has seen', options, async (t) => {
  const raft = await cluster(t)
  await raft.proposeMany(names('before', 50))
  const [follower] = await raft.followers()
  await raft.applied(follower!.id, 50)
  const seen = raft.machines.get(follower!.id)!
  await raft.closeMember(follower!.id)
  await raft.proposeMany(names('meanwhile', 50))

  const persisted = new RecordingMachine({ appliedIndex: 50, entries: seen.entries })
  await raft.startMember(follower!.id, persisted)
  await raft.applied(follower!.id, 100)
  t.same(persisted.entries, [...names('before', 50), ...names('meanwhile', 50)])
  t.equal(persisted.restores, 0)

  await raft.closeMember(follower!.id)
  const lost = new RecordingMachine()
  await raft.startMember(follower!.id, lost)
  await raft.applied(follower!.id, 100)
  t.same(lost.entries, persisted.entries, 'a lost state is rebuilt')
})

t.test('a member that missed more than the log keeps catches up by snapshot', options, async (t) => {
  const raft = await cluster(t, { snapshotThreshold: 64, snapshotTrailing: 8, imageEvery: 20 })
  await raft.proposeMany(names('before', 10))
  const [follower] = await raft.followers()
  await raft.applied(follower!.id, 10)
  const seen = raft.machines.get(follower!.id)!
  await raft.closeMember(follower!.id)
  const missed = names('missed', 500)
  // One by one: libraft takes a snapshot between applies, never within one.
  const { log } = await raft.leader()
  for (const name of missed) await log.propose(Buffer.from(name), DEADLINE_MS)

  const persisted = new RecordingMachine({ appliedIndex: 10, entries: seen.entries })
  await raft.startMember(follower!.id, persisted)
  await raft.applied(follower!.id, 510)
  t.same(persisted.entries, [...names('before', 10), ...missed])
  t.ok(persisted.restores >= 1, 'its state came as a snapshot, or a newer one after it')
  await raft.proposeMany(['and on'])
  await raft.applied(follower!.id, 511)
})

t.test('all members restart from their snapshots and logs with nothing lost', options, async (t) => {
  const raft = await cluster(t, { snapshotThreshold: 64, snapshotTrailing: 8, imageEvery: 20 })
  const { log } = await raft.leader()
  for (const name of names('first', 300)) await log.propose(Buffer.from(name), DEADLINE_MS)
  await raft.closeAll()
  await raft.startAll()
  await raft.proposeMany(names('second', 3))
  const expected = [...names('first', 300), ...names('second', 3)]
  for (const member of raft.members) await raft.applied(member.id, 303)
  for (const member of raft.members) t.same(raft.machines.get(member.id)!.entries, expected)
})

t.test('becoming leader is announced only when everything committed before is applied', options, async (t) => {
  const raft = await cluster(t)
  await raft.proposeMany(names('before', 200))
  const atElection: number[] = []
  for (const [, log] of raft.logs) {
    log.onStatus((status) => {
      if (status.role === 'leader') atElection.push(status.appliedIndex)
    })
  }
  await raft.closeMember((await raft.leader()).id)
  await raft.leader()
  t.ok(atElection.length > 0)
  t.ok(
    atElection.every((index) => index === 200),
    `applied at each election: ${atElection}`,
  )
})

t.test('a member with another secret is not let in', options, async (t) => {
  const raft = new RaftCluster(await freeMembers(3))
  t.teardown(() => raft.remove())
  await raft.startMember(1)
  await raft.startMember(2)
  const stranger = await raft.startMember(3, new RecordingMachine(), { secret: 'another' })
  await raft.proposeMany(['for members only'])
  await t.rejects(stranger.propose(Buffer.from('x'), 1500), { code: 'NO_QUORUM' })
  t.equal(raft.machines.get(3)!.appliedIndex, 0)
})

t.test('a start that fails says why, and can be tried again', options, async (t) => {
  const members = await freeMembers(1)
  const first = new RaftCluster(members)
  t.teardown(() => first.remove())
  await first.startMember(1)
  const machine = new RecordingMachine()
  const again = new RaftLog({ directory: join(first.directory, 'other'), machine, ...members[0]!, members })
  await t.rejects(again.start(), { code: 'INTERNAL', message: /listen on 127.*address already in use/ })
  await first.closeMember(1)
  await again.start()
  await until('leadership', () => again.status().role === 'leader')
  await again.close()
  await t.rejects(again.propose(Buffer.from('closed'), 100), { code: 'NOT_LEADER' })
})

t.test('members that contradict each other are refused', options, async (t) => {
  const machine = new RecordingMachine()
  const directory = t.testdir()
  const own = { id: 1, address: '127.0.0.1:7001' }
  for (const members of [
    [],
    [{ id: 2, address: own.address }],
    [own, { id: 2, address: own.address }],
    [own, { ...own, id: 0 }],
  ]) {
    await t.rejects(new RaftLog({ directory, machine, ...own, members }).start(), { code: 'BAD_REQUEST' })
  }
  const named = { id: 1, address: 'localhost:7001' }
  await t.rejects(new RaftLog({ directory, machine, ...named, members: [named] }).start(), {
    code: 'BAD_REQUEST',
    message: /localhost:7001/,
  })
})
