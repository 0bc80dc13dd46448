// The words that need no schema: what a client and the command use at run time. Building the schemas takes a quarter of a
// second of processor time, which a command that lists containers need not spend; types cost nothing and come from the whole.

export * from './bulk.ts'
export * from './capability-names.ts'
export * from './device-pins.ts'
export * from './errors.ts'
export * from './first-boot-problem.ts'
export * from './frames.ts'
export * from './join-token.ts'
export * from './move-words.ts'
export * from './names.ts'
export * from './paths.ts'
export * from './rlimit-names.ts'
export * from './streams.ts'
export * from './subjects.ts'
export * from './sysctl-names.ts'
export * from './version.ts'
