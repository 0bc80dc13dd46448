// The typed border to native/raft: loads the addon, or says why it can't. Nothing is decided here.

import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { DroverError } from '@drover/protocol'

export interface RaftMember {
  /** ≥ 1, and never used for another machine later. */
  id: number
  /** Numeric address and port, e.g. 10.0.0.1:7001 or [fd00::1]:7001. */
  address: string
}

export interface NativeRaftOptions {
  directory: string
  id: number
  address: string
  members: RaftMember[]
  /** 32 bytes that all members share. */
  token: Uint8Array
  electionTimeoutMs: number
  heartbeatMs: number
  snapshotThreshold: number
  snapshotTrailing: number
}

export type NativeRaftEvent =
  | { kind: 'started' | 'closed' }
  | { kind: 'startFailed' | 'broken'; reason: string }
  /** `sequence` is 0 unless this very object proposed the entry. */
  | { kind: 'entry'; index: number; sequence: number; bytes: Buffer }
  | { kind: 'restore'; index: number; sequence: 0; bytes: Buffer }
  | {
      kind: 'status'
      role: 'leader' | 'follower' | 'candidate'
      term: number
      leaderId: number
      leaderAddress: string
    }
  | { kind: 'barrier'; sequence: number }
  /** not-leader: nothing was appended. lost: it may still be committed. */
  | { kind: 'refused'; sequence: number; reason: 'not-leader' | 'lost' }

/** All but `start` answer false when the queue to the raft thread is full or the member is closing. */
export interface NativeRaft {
  start(): void
  propose(sequence: number, entry: Uint8Array): boolean
  barrier(sequence: number): boolean
  stateImage(index: number, image: Uint8Array): boolean
  /** Hands leadership over when it has it; the `closed` event is the last. */
  close(): boolean
}

interface Addon {
  RaftMember: new (options: NativeRaftOptions, onEvents: (events: NativeRaftEvent[]) => void) => NativeRaft
}

const addonPath = fileURLToPath(new URL('../../../native/raft/build/drover_raft.node', import.meta.url))

let loaded: { addon: Addon } | { reason: string } | null = null

/** Whether RaftLog can be used here; `reason` says what is missing. */
export function isRaftAvailable(): { available: boolean; reason: string | null } {
  const addon = load()
  return 'addon' in addon ? { available: true, reason: null } : { available: false, reason: addon.reason }
}

export function createNativeRaft(
  options: NativeRaftOptions,
  onEvents: (events: NativeRaftEvent[]) => void,
): NativeRaft {
  const addon = load()
  if (!('addon' in addon)) throw new DroverError('INTERNAL', `load the raft addon: ${addon.reason}`)
  try {
    return new addon.addon.RaftMember(options, onEvents)
  } catch (error) {
    // The addon takes numeric addresses only: a name look-up would block the raft thread.
    throw new DroverError('BAD_REQUEST', `start the raft log: ${(error as Error).message}`, { cause: error })
  }
}

function load(): { addon: Addon } | { reason: string } {
  if (loaded) return loaded
  try {
    loaded = { addon: createRequire(import.meta.url)(addonPath) as Addon }
  } catch (error) {
    const message = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
    loaded = { reason: `${addonPath} does not load (npm run bootstrap builds it): ${message}` }
  }
  return loaded
}
