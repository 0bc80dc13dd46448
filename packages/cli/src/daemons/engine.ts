// The daemon `engine`: the native supervisor, or its simulation for machines without root.

import { join } from 'node:path'
import type { EngineConfig } from '@drover/protocol'
import { configFile, type Daemon } from './daemon.ts'
import { type EngineKind, programs } from './installation.ts'
import { nodeCommand } from './node-options.ts'
import { accepts } from './probes.ts'

export interface EngineOptions {
  kind: EngineKind
  owner: string
  directory: string
  prefix: string[]
  config: EngineConfig
  /** Where the starter reaches the engine's socket, when that is not where the engine itself sees it. */
  socketSeenFromHere?: () => string
}

export function engineDaemon(options: EngineOptions): Daemon {
  const config = configFile(options.directory)
  return {
    kind: 'engine',
    owner: options.owner,
    directory: options.directory,
    configText: `${JSON.stringify(options.config, null, 2)}\n`,
    command:
      options.kind === 'native' ? [programs.nativeEngine, config] : nodeCommand(programs.simulatedEngine, config),
    prefix: options.prefix,
    ready: () => accepts({ path: options.socketSeenFromHere?.() ?? options.config.socket }),
  }
}

/** Below a data directory, as the other daemons have it. */
export const engineState = (data: string) => join(data, 'containers')
