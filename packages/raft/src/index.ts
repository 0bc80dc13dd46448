// The replicated log of the controllers.

export * from './replicated-log.ts'
