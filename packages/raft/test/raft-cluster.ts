// Three RaftLogs in one process for tests: free loopback addresses, start, close, wait for a leader.

import { mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RaftLog, type RaftLogOptions, type RaftMember } from '@drover/raft'
import { removeDirectory } from '@drover/testkit/temporary'
import { RecordingMachine } from './recording-machine.ts'

export const DEADLINE_MS = 30_000

/** Addresses of their own for each test process, so that two runs at once never meet. */
export async function freeMembers(count: number): Promise<RaftMember[]> {
  const members: RaftMember[] = []
  for (let id = 1; id <= count; id += 1) {
    const host = `127.${100 + id}.${(process.pid >> 8) & 255}.${(process.pid & 255) % 254 || 1}`
    members.push({ id, address: `${host}:${await freePort(host)}` })
  }
  return members
}

function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, host, () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

export async function until<Value>(what: string, probe: () => Value | null | undefined | false): Promise<Value> {
  const end = Date.now() + DEADLINE_MS
  for (;;) {
    const value = probe()
    if (value) return value
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export type Tuning = Partial<Omit<RaftLogOptions, 'directory' | 'machine' | 'id' | 'address' | 'members'>>

export class RaftCluster {
  readonly directory: string
  readonly members: readonly RaftMember[]
  readonly machines = new Map<number, RecordingMachine>()
  readonly logs = new Map<number, RaftLog>()
  readonly #tuning: Tuning

  constructor(members: readonly RaftMember[], tuning: Tuning = {}) {
    // Not tap's testdir: that may be removed while members still write, and libraft aborts on a lost folder.
    this.directory = mkdtempSync(join(tmpdir(), 'drover-raft-'))
    this.members = members
    this.#tuning = { secret: 'a secret of the tests', ...tuning }
  }

  async startAll(): Promise<void> {
    await Promise.all(this.members.map((member) => this.startMember(member.id)))
  }

  async startMember(id: number, machine = new RecordingMachine(), tuning: Tuning = {}): Promise<RaftLog> {
    const member = this.members.find((candidate) => candidate.id === id)!
    const log = new RaftLog({
      directory: join(this.directory, `member-${id}`),
      machine,
      ...member,
      members: this.members,
      ...this.#tuning,
      ...tuning,
    })
    await log.start()
    this.logs.set(id, log)
    this.machines.set(id, machine)
    return log
  }

  async closeMember(id: number): Promise<void> {
    const log = this.logs.get(id)
    this.logs.delete(id)
    await log?.close()
  }

  async closeAll(): Promise<void> {
    for (const id of [...this.logs.keys()]) await this.closeMember(id)
  }

  async remove(): Promise<void> {
    await this.closeAll()
    await removeDirectory(this.directory)
  }

  leader(): Promise<{ id: number; log: RaftLog }> {
    return until('a leader', () => {
      for (const [id, log] of this.logs) if (log.status().role === 'leader') return { id, log }
      return null
    })
  }

  /** Followers that know the leader. */
  async followers(): Promise<{ id: number; log: RaftLog }[]> {
    const leader = await this.leader()
    const others = [...this.logs].filter(([id]) => id !== leader.id).map(([id, log]) => ({ id, log }))
    await until('followers that know the leader', () =>
      others.every(({ log }) => log.status().leader?.id === leader.id),
    )
    return others
  }

  async proposeMany(names: readonly string[]): Promise<void> {
    const { log } = await this.leader()
    await Promise.all(names.map((name) => log.propose(Buffer.from(name), DEADLINE_MS)))
  }

  applied(id: number, count: number): Promise<boolean> {
    return until(`member ${id} has applied ${count} entries`, () => this.machines.get(id)!.appliedIndex === count)
  }
}
