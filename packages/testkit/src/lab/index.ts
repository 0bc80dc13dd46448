// The laboratory of test hosts: Lab.start() gives a whole cluster on this machine, lab.down() leaves nothing of it.

export { waitUntil } from '@drover/cli/daemons'
export { type CorePace, withCorePace } from './core-pace.ts'
export { engineState } from './engine-state.ts'
export type { ArmedPoint } from './faults.ts'
export * from './lab.ts'
export type { HostPlace } from './layout.ts'
export { leftovers, namespaceUsers } from './leftovers.ts'
export { Pulse, PulseClient, type PulseReport, pulsePort } from './pulse.ts'
export { run } from './run.ts'
export { allStates, labsDirectory } from './state-file.ts'
