// The daemons of a node: configured, started, found ready and stopped in one place, for `drover up` and the laboratory.

export * from './agent.ts'
export * from './authority.ts'
export * from './bring-up.ts'
export * from './controller.ts'
export * from './daemon.ts'
export * from './doctor.ts'
export * from './engine.ts'
export * from './installation.ts'
export * from './nats.ts'
export * from './node-settings.ts'
export * from './pid-file.ts'
export * from './wait-until.ts'
