// What the stories, the tour and the benchmarks share.

export * from './figures.ts'
export * from './phase-trap.ts'
export * from './witness.ts'
