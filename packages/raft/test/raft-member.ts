// A member in a process of its own, for tests that kill: driven by messages over IPC.
// In: {propose: text, request} or {entries: true, request}. Out: {ready}, {status}, {request, answer} or {request, error}.

import { RaftLog, type RaftMember } from '@drover/raft'
import { RecordingMachine } from './recording-machine.ts'

export interface MemberArguments {
  id: number
  directory: string
  members: RaftMember[]
}

export type MemberRequest = { request: number; propose: string } | { request: number; entries: true }

export type MemberMessage =
  | { status: { role: string; leader: number | null } }
  | { request: number; answer: unknown }
  | { request: number; error: string }

const PROPOSE_DEADLINE_MS = 3000

if (process.send) {
  const { id, directory, members } = JSON.parse(process.argv[2]!) as MemberArguments
  const machine = new RecordingMachine()
  const own = members.find((member) => member.id === id)!
  // Small thresholds, so that kills also fall into snapshots and restarts go through them.
  const log = new RaftLog({
    directory,
    machine,
    ...own,
    members,
    secret: 'kills',
    snapshotThreshold: 64,
    snapshotTrailing: 8,
    imageEvery: 20,
  })
  const tell = (message: MemberMessage) => process.send?.(message)
  log.onStatus((status) => tell({ status: { role: status.role, leader: status.leader?.id ?? null } }))
  process.on('message', (message: MemberRequest) => {
    if ('entries' in message) {
      tell({ request: message.request, answer: machine.entries })
      return
    }
    log.propose(Buffer.from(message.propose), PROPOSE_DEADLINE_MS).then(
      (answer) => tell({ request: message.request, answer }),
      (error: { code: string }) => tell({ request: message.request, error: error.code }),
    )
  })
  process.on('disconnect', () => process.exit(0))
  await log.start()
}
