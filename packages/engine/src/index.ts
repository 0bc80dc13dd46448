// The only code that knows the engine's socket protocol.

export * from './messages.ts'
