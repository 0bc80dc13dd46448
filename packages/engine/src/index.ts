// The only code that knows the engine's socket protocol.

export * from './client.ts'
export * from './exec-session.ts'
export * from './frame-stream.ts'
export * from './messages.ts'
