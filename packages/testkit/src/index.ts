// For tests only: engines that are simulated here; the laboratory of hosts is '@drover/testkit/lab'.

export * from './simulated-engine/index.ts'
