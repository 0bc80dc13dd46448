// The typed API client: retries, operations, event streams, exec and logs.

export { clientConfigPaths, loadClientConfig } from './client-config.ts'
export { DroverClient, type DroverClientOptions } from './drover-client.ts'
export type { EventOptions } from './event-stream.ts'
export type { ExecSession, ExecStreams } from './exec-session.ts'
export { operationFailure } from './operation-failure.ts'
export type { WaitOptions } from './wait-operation.ts'
