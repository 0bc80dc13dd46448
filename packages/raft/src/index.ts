// The replicated log of the controllers: one interface, a single-node log on LMDB and a Raft log on libraft.

export * from './replicated-log.ts'
export { SingleNodeLog, type SingleNodeLogOptions } from './single-node-log.ts'
