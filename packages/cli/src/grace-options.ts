// How a container is made to stop: with time for its init to shut down, or at once. Of every command that stops one.

import type { StopRequest } from '@drover/protocol'
import { type Command, Option } from 'commander'
import { parseDuration } from './output/durations.ts'

export interface GraceFlags {
  grace?: number
  force?: boolean
}

export function addGraceOptions(command: Command): Command {
  return command
    .option('--grace <duration>', 'time for its init to shut down before it is killed, e.g. 10s', parseDuration)
    .addOption(new Option('--force', 'kill it at once').conflicts('grace'))
}

export function stopRequest({ grace, force }: GraceFlags): StopRequest {
  if (force) return { timeoutMs: 0 }
  return grace === undefined ? {} : { timeoutMs: grace }
}
