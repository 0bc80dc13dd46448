// A simulated engine, to run in a test's own process (SimulatedEngine) or as a daemon (main.ts).

export { SimulatedContainers } from './containers.ts'
export type { Fault } from './faults.ts'
export { SimulatedEngine } from './server.ts'
