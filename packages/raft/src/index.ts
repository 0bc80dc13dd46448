// The replicated log of the controllers: one interface, a single-node log on LMDB and a Raft log on libraft.

export { MAX_ENTRY_BYTES, MAX_PENDING_PROPOSALS } from './entry-limits.ts'
export { isRaftAvailable, type RaftMember } from './native-raft.ts'
export { RaftLog, type RaftLogOptions } from './raft-log.ts'
export * from './replicated-log.ts'
export { SingleNodeLog, type SingleNodeLogOptions } from './single-node-log.ts'
