// The one interface behind which consensus lives: SingleNodeLog (LMDB) and RaftLog (native/raft on libraft).
// The controller hands entries in and gets them back in order, on every member, through `apply`.

/** The deterministic machine that the log drives; its state at an index depends on nothing but the entries up to it. */
export interface StateMachine {
  /** Applies one committed entry. Called in index order, never twice for one index in one life of the state. */
  apply(index: number, entry: Uint8Array): unknown
  /** The whole state after the last applied entry. */
  snapshot(): Uint8Array
  /** Replaces the state by a snapshot that was taken after the entry at `index`. */
  restore(index: number, snapshot: Uint8Array): void
  /** Index of the last entry in the state as loaded from disk; entries up to it are not applied again. */
  readonly appliedIndex: number
}

export interface Leader {
  id: number
  address: string
}

export interface LogStatus {
  role: 'leader' | 'follower' | 'candidate'
  term: number
  leader: Leader | null
  appliedIndex: number
}

export interface ReplicatedLog {
  /** Opens the log, replays what the state machine has not seen and takes part. */
  start(): Promise<void>
  /**
   * Resolves with what `apply` returned once the entry is committed and applied here. Rejects with NOT_LEADER (nothing was
   * appended), or with NO_QUORUM / TIMED_OUT after `deadlineMs` (the entry may still be committed later: entries are idempotent).
   */
  propose(entry: Uint8Array, deadlineMs: number): Promise<{ index: number; result: unknown }>
  /** Resolves when everything committed before the call has been applied here; rejects as propose does. Calls share one barrier. */
  barrier(deadlineMs: number): Promise<void>
  status(): LogStatus
  /** Called when role, term or leader changes. Becoming leader is announced only after a barrier. Returns the unsubscriber. */
  onStatus(listener: (status: LogStatus) => void): () => void
  /** Leaves leadership if it has it, flushes and closes. */
  close(): Promise<void>
}
