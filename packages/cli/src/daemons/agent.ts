// The daemon `agent`. Ready means that its gRPC port accepts; that it has joined is seen in the cluster's list of hosts.

import type { AgentConfig } from '@drover/protocol'
import { configFile, type Daemon } from './daemon.ts'
import { programs } from './installation.ts'
import { nodeCommand } from './node-options.ts'
import { accepts } from './probes.ts'

export interface AgentOptions {
  directory: string
  prefix: string[]
  config: AgentConfig
}

export function agentDaemon({ directory, prefix, config }: AgentOptions): Daemon {
  return {
    kind: 'agent',
    owner: config.host,
    directory,
    configText: `${JSON.stringify(config, null, 2)}\n`,
    command: nodeCommand(programs.agent, configFile(directory)),
    prefix,
    ready: () => accepts({ host: config.address, port: config.grpcPort }),
  }
}
