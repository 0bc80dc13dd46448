// The replicated log of three or five controllers, on libraft (native/raft).
//
// Consensus runs in the addon's own thread; here committed entries are applied in order, proposals find their results, and
// the addon gets an image of the state now and then, from which it makes snapshots without asking. Entry indices are our own
// (1, 2, 3 … on every member alike): libraft's apply carries none. A state that was persisted further than libraft replays
// skips what it has seen. Crash-only: a member that cannot go on ends the process, and rejoins after the restart.

import { createHmac } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { DroverError } from '@drover/protocol'
import { checkEntry } from './entry-limits.ts'
import { createNativeRaft, type NativeRaft, type NativeRaftEvent, type RaftMember } from './native-raft.ts'
import { PendingRequests } from './pending-requests.ts'
import type { Leader, LogStatus, ReplicatedLog, StateMachine } from './replicated-log.ts'
import { SharedBarrier } from './shared-barrier.ts'

export interface RaftLogOptions {
  /** Folder of libraft's segments, snapshots and metadata; made when missing. */
  directory: string
  machine: StateMachine
  /** This member; `members` must hold it with the same address. */
  id: number
  address: string
  /** All voting members, the same list on each. They are written into the log at its first start. */
  members: readonly RaftMember[]
  /** The cluster secret; members that know another one are refused. */
  secret?: string
  electionTimeoutMs?: number
  heartbeatMs?: number
  /** Entries between two snapshots of libraft, and how many it keeps before the newest for followers that lag a little. */
  snapshotThreshold?: number
  snapshotTrailing?: number
  /** Entries between two images of the state that are handed to the addon. */
  imageEvery?: number
}

/**
 * Drawn from 1× to 2× by libraft, and a vote is given only by members that miss the leader, too: fail-over takes 0.6 to 1.2 s.
 * Five heartbeats fit in; they come from a thread of its own with priority, so a busy machine costs no election.
 */
const ELECTION_TIMEOUT_MS = 300
const HEARTBEAT_MS = 60
/** Snapshots cost throughput; 8,192 entries of a few hundred bytes are a few MB of log. */
const SNAPSHOT_THRESHOLD = 8192
const SNAPSHOT_TRAILING = 2048
const IMAGE_EVERY = 2048
/** The shared barrier's own; its callers have shorter ones. */
const BARRIER_DEADLINE_MS = 10_000

export class RaftLog implements ReplicatedLog {
  readonly #options: RaftLogOptions
  readonly #listeners = new Set<(status: LogStatus) => void>()
  readonly #pending = new PendingRequests()
  readonly #barrier = new SharedBarrier(() => this.#issueBarrier())
  #native: NativeRaft | null = null
  #closing: Promise<void> | null = null
  #role: LogStatus['role'] = 'follower'
  #term = 0
  #leader: Leader | null = null
  #appliedIndex = 0
  #entriesSinceImage = 0
  #failed = false
  #onStarted: (failure: string | null) => void = () => {}
  #onClosed: () => void = () => {}

  constructor(options: RaftLogOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { directory, id, address, members, machine } = this.#options
    checkMembers(id, address, members)
    mkdirSync(directory, { recursive: true })
    this.#appliedIndex = machine.appliedIndex
    const native = createNativeRaft(
      {
        directory,
        id,
        address,
        members: [...members],
        token: createHmac('sha256', this.#options.secret ?? '')
          .update('drover raft member')
          .digest(),
        electionTimeoutMs: this.#options.electionTimeoutMs ?? ELECTION_TIMEOUT_MS,
        heartbeatMs: this.#options.heartbeatMs ?? HEARTBEAT_MS,
        snapshotThreshold: this.#options.snapshotThreshold ?? SNAPSHOT_THRESHOLD,
        snapshotTrailing: this.#options.snapshotTrailing ?? SNAPSHOT_TRAILING,
      },
      (events) => this.#receive(events),
    )
    const closed = new Promise<void>((resolve) => {
      this.#onClosed = resolve
    })
    const failure = await new Promise<string | null>((resolve) => {
      this.#onStarted = resolve
      native.start()
    })
    if (failure !== null) {
      await closed
      throw new DroverError('INTERNAL', `start the raft log: ${failure}`, { context: { directory, address } })
    }
    this.#native = native
  }

  async propose(entry: Uint8Array, deadlineMs: number): Promise<{ index: number; result: unknown }> {
    checkEntry(entry, this.#pending.size)
    return await this.#request((native, sequence) => native.propose(sequence, entry), deadlineMs)
  }

  barrier(deadlineMs: number): Promise<void> {
    return this.#barrier.wait(deadlineMs, () => this.#late('pass a barrier', deadlineMs, true))
  }

  status(): LogStatus {
    return { role: this.#role, term: this.#term, leader: this.#leader, appliedIndex: this.#appliedIndex }
  }

  onStatus(listener: (status: LogStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const native = this.#native
    if (!native) return
    this.#pending.rejectWhere(false, this.#notLeader())
    await new Promise<void>((resolve) => {
      this.#onClosed = resolve
      native.close()
    })
    this.#native = null
    this.#pending.rejectWhere(true, lost('the log was closed'))
    this.#setStatus('follower', this.#term, null)
  }

  async #request<Value>(send: (native: NativeRaft, sequence: number) => boolean, deadlineMs: number): Promise<Value> {
    const native = this.#native
    if (!native || this.#closing || (this.#leader && this.#role !== 'leader')) throw this.#notLeader()
    const { sequence, answer } = this.#pending.add<Value>(
      (number) => send(native, number),
      deadlineMs,
      (sent) => this.#late('commit an entry', deadlineMs, sent),
    )
    if (this.#role === 'leader') this.#pending.send(sequence)
    return await answer
  }

  #issueBarrier(): Promise<void> {
    return this.#request((native, sequence) => native.barrier(sequence), BARRIER_DEADLINE_MS)
  }

  /** Called with each batch of events; a throw in here is a broken invariant and must end the process. */
  #receive(events: readonly NativeRaftEvent[]): void {
    if (this.#failed) return
    try {
      for (const event of events) this.#handle(event)
      this.#giveImage()
    } catch (error) {
      this.#failed = true
      setImmediate(() => {
        throw error
      })
    }
  }

  #handle(event: NativeRaftEvent): void {
    switch (event.kind) {
      case 'entry':
        this.#apply(event.index, event.sequence, event.bytes)
        return
      case 'restore':
        this.#restore(event.index, event.bytes)
        return
      case 'status':
        this.#changeStatus(event)
        return
      case 'barrier':
        this.#pending.resolve(event.sequence, undefined)
        return
      case 'refused':
        this.#refused(event.sequence, event.reason)
        return
      case 'started':
        this.#onStarted(null)
        return
      case 'startFailed':
        this.#onStarted(event.reason)
        return
      case 'broken':
        throw new DroverError('INTERNAL', `the raft log in ${this.#options.directory} cannot go on: ${event.reason}`)
      case 'closed':
        this.#onClosed()
        return
    }
  }

  #apply(index: number, sequence: number, bytes: Buffer): void {
    this.#entriesSinceImage += 1
    if (index <= this.#appliedIndex) return
    if (index !== this.#appliedIndex + 1) throw new Error(`raft: entry ${index} came after ${this.#appliedIndex}`)
    const result = this.#options.machine.apply(index, bytes)
    this.#appliedIndex = index
    if (sequence !== 0) this.#pending.resolve(sequence, { index, result })
  }

  #restore(index: number, image: Buffer): void {
    this.#entriesSinceImage = 0
    if (index <= this.#appliedIndex) return
    this.#options.machine.restore(index, image)
    this.#appliedIndex = index
  }

  #giveImage(): void {
    if (this.#entriesSinceImage < (this.#options.imageEvery ?? IMAGE_EVERY)) return
    // The addon ignores an image of a state that it has not counted up to yet (a replay after a restart).
    this.#native?.stateImage(this.#appliedIndex, this.#options.machine.snapshot())
    this.#entriesSinceImage = 0
  }

  #changeStatus(event: Extract<NativeRaftEvent, { kind: 'status' }>): void {
    const leader = event.leaderId === 0 ? null : { id: event.leaderId, address: event.leaderAddress }
    const led = this.#role === 'leader'
    const sameTerm = this.#term === event.term
    this.#setStatus(event.role, event.term, leader)
    if (led && (event.role !== 'leader' || !sameTerm)) this.#pending.rejectWhere(true, lost('leadership was lost'))
    if (event.role === 'leader') this.#pending.sendHeld()
    else if (leader) this.#pending.rejectWhere(false, this.#notLeader())
  }

  #setStatus(role: LogStatus['role'], term: number, leader: Leader | null): void {
    this.#role = role
    this.#term = term
    this.#leader = leader
    for (const listener of this.#listeners) listener(this.status())
  }

  #refused(sequence: number, reason: 'not-leader' | 'lost'): void {
    if (reason === 'lost') this.#pending.reject(sequence, lost('leadership was lost'))
    else if (this.#closing || (this.#leader && this.#role !== 'leader'))
      this.#pending.reject(sequence, this.#notLeader())
    else this.#pending.hold(sequence)
  }

  #notLeader(): DroverError {
    const leader = this.#closing || !this.#native ? null : this.#leader
    return new DroverError(
      'NOT_LEADER',
      leader
        ? `propose to controller ${this.#options.id}: controller ${leader.id} at ${leader.address} leads`
        : `propose to controller ${this.#options.id}: its log is not open`,
      { context: { leader } },
    )
  }

  #late(what: string, deadlineMs: number, sent: boolean): DroverError {
    if (sent && this.#role === 'leader') {
      return new DroverError('TIMED_OUT', `${what}: not done within ${deadlineMs} ms; it may still be done later`, {
        context: { deadlineMs, mayBeDoneLater: true },
      })
    }
    return new DroverError('NO_QUORUM', `${what}: no leader with a majority within ${deadlineMs} ms`, {
      context: { deadlineMs, members: this.#options.members.length },
    })
  }
}

function lost(why: string): DroverError {
  return new DroverError('NO_QUORUM', `commit an entry: ${why} before a majority had it; it may still be done later`, {
    context: { mayBeDoneLater: true },
  })
}

function checkMembers(id: number, address: string, members: readonly RaftMember[]): void {
  const own = members.find((member) => member.id === id)
  const ids = new Set(members.map((member) => member.id))
  const addresses = new Set(members.map((member) => member.address))
  const valid = members.every((member) => Number.isSafeInteger(member.id) && member.id >= 1)
  if (own?.address === address && valid && ids.size === members.length && addresses.size === members.length) return
  throw new DroverError(
    'BAD_REQUEST',
    `start the raft log of member ${id} at ${address}: members must hold it, with ids ≥ 1 and addresses that differ`,
    { context: { id, address, members: [...members] } },
  )
}
