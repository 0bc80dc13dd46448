// The words that all parts of drover share. Nothing here does anything: schemas, types, constants and one error class.

export * from './agent-messages.ts'
export * from './api.ts'
export * from './capability-names.ts'
export * from './config.ts'
export * from './device-pins.ts'
export * from './errors.ts'
export * from './frames.ts'
export * from './inside.ts'
export * from './preflight.ts'
export * from './resources.ts'
export * from './streams.ts'
export * from './version.ts'
