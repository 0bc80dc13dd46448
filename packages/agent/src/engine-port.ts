// What the agent needs of an engine: typed calls and exec. EngineClient of @drover/engine has exactly these; tests have
// their own in memory. Deadlines of the calls are here, in one place.

import type { EngineMethod, EngineMethods, ExecHandlers, ExecParams } from '@drover/engine'

export interface EnginePort {
  call<M extends EngineMethod>(
    method: M,
    params: EngineMethods[M]['params'],
    options?: { deadlineMs?: number },
  ): Promise<EngineMethods[M]['result']>
  exec(params: ExecParams, handlers?: ExecHandlers): Promise<ExecPort>
}

export interface ExecPort {
  readonly exit: Promise<number>
  write(data: Uint8Array): Promise<void>
  end(): void
  resize(columns: number, rows: number): void
  signal(signal: number): void
  pause(): void
  resume(): void
  close(): void
}

/** How long init gets to power off before the engine kills it, when the assignment doesn't say. */
export const defaultStopTimeoutMs = 10_000
/** What the engine may need beyond that for killing and clearing up. */
export const stopSlackMs = 20_000

/** Over these a call counts as lost; the engine's own work is far quicker, but a loaded machine may have a queue. */
export const engineDeadlines = {
  quick: 10_000,
  start: 30_000,
  delete: 30_000,
  checkpoint: 120_000,
  restore: 120_000,
  /** Owners of a million files may have to be changed, and the old disk is removed. */
  replaceDisk: 30 * 60_000,
} as const
