// Three members in processes of their own: SIGKILL of leaders loses nothing that was acknowledged.

import { type ChildProcess, fork } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isRaftAvailable, type RaftMember } from '@drover/raft'
import { removeDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { freeMembers, until } from './raft-cluster.ts'
import type { MemberMessage, MemberRequest } from './raft-member.ts'

const addon = isRaftAvailable()
const options = addon.available ? {} : { skip: addon.reason ?? true }

const KILLS = 3
const ENTRIES_BETWEEN_KILLS = 50

class MemberProcess {
  readonly id: number
  role = 'starting'
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #waiting = new Map<number, (message: MemberMessage) => void>()
  #lastRequest = 0

  constructor(id: number, directory: string, members: readonly RaftMember[]) {
    this.id = id
    const argument = JSON.stringify({ id, directory: join(directory, `member-${id}`), members })
    this.#child = fork(join(import.meta.dirname, 'raft-member.ts'), [argument], { execArgv: ['--import=tsx'] })
    this.#exited = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.on('message', (message: MemberMessage) => {
      if ('status' in message) this.role = message.status.role
      else this.#waiting.get(message.request)?.(message)
    })
  }

  /** The answer, or null when it was refused or the process died: then nobody knows whether it was done. */
  ask(message: { propose: string } | { entries: true }): Promise<unknown | null> {
    this.#lastRequest += 1
    const request: MemberRequest = { ...message, request: this.#lastRequest }
    return Promise.race([
      new Promise<unknown | null>((resolve) => {
        this.#waiting.set(request.request, (answer) => resolve('answer' in answer ? answer.answer : null))
        this.#child.send(request, (error) => error && resolve(null))
      }),
      this.#exited.then(() => null),
    ])
  }

  async kill(): Promise<void> {
    this.role = 'dead'
    this.#child.kill('SIGKILL')
    await this.#exited
  }
}

t.test(`nothing acknowledged is lost under ${KILLS} kills of the leader`, options, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'drover-raft-'))
  const members = await freeMembers(3)
  const processes = new Map<number, MemberProcess>()
  t.teardown(async () => {
    for (const member of processes.values()) await member.kill()
    await removeDirectory(directory)
  })
  const start = (id: number) => processes.set(id, new MemberProcess(id, directory, members))
  const leader = () => until('a leader', () => [...processes.values()].find((member) => member.role === 'leader'))
  for (const { id } of members) start(id)

  const acknowledged: string[] = []
  let proposed = 0
  const proposeUntil = async (count: number) => {
    while (acknowledged.length < count) {
      const entry = `entry-${proposed++}`
      if ((await (await leader()).ask({ propose: entry })) !== null) acknowledged.push(entry)
    }
  }

  for (let kill = 1; kill <= KILLS; kill += 1) {
    await proposeUntil(kill * ENTRIES_BETWEEN_KILLS)
    // With the last victim still starting, this kill would only show how long a process takes to start.
    await until('all members up', () => [...processes.values()].every((member) => member.role !== 'starting'))
    const victim = await leader()
    // Some are under way when the process dies.
    const underWay = Array.from({ length: 10 }, () => {
      const entry = `entry-${proposed++}`
      return victim.ask({ propose: entry }).then((answer) => answer !== null && acknowledged.push(entry))
    })
    const before = Date.now()
    await victim.kill()
    await Promise.all(underWay)
    const successor = await leader()
    t.not(successor.id, victim.id)
    t.comment(`leader ${victim.id} killed; ${successor.id} led after ${Date.now() - before} ms`)
    start(victim.id)
  }
  await proposeUntil((KILLS + 1) * ENTRIES_BETWEEN_KILLS)

  const histories: string[][] = []
  const last = acknowledged.at(-1)!
  for (const member of processes.values()) {
    let entries: string[] = []
    let asking = false
    await until(`member ${member.id} has the last entry`, () => {
      if (!asking) {
        asking = true
        void member.ask({ entries: true }).then((answer) => {
          entries = (answer ?? []) as string[]
          asking = false
        })
      }
      return entries.includes(last)
    })
    histories.push(entries)
  }
  for (const [number, history] of histories.entries()) {
    const present = new Set(history)
    const missing = acknowledged.filter((entry) => !present.has(entry))
    t.same(missing, [], `member ${number + 1} has all ${acknowledged.length} acknowledged entries`)
    t.equal(present.size, history.length, 'and none twice')
    t.same(history.slice(0, histories[0]!.length), histories[0]!.slice(0, history.length), 'in the same order')
  }
})
