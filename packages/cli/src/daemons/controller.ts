// The daemon `controller`. Ready means that its HTTP API answers; whether there is a leader is the cluster's affair.

import type { ControllerConfig } from '@drover/protocol'
import { configFile, type Daemon } from './daemon.ts'
import { programs } from './installation.ts'
import { nodeCommand } from './node-options.ts'
import { answersHttp } from './probes.ts'

export interface ControllerOptions {
  directory: string
  prefix: string[]
  config: ControllerConfig
}

export function controllerDaemon({ directory, prefix, config }: ControllerOptions): Daemon {
  return {
    kind: 'controller',
    owner: config.name,
    directory,
    configText: `${JSON.stringify(config, null, 2)}\n`,
    command: nodeCommand(programs.controller, configFile(directory)),
    prefix,
    ready: () => answersHttp(`http://${config.apiAddress}:${config.apiPort}/healthz`),
  }
}
