// The options of every command that begins an operation: whether to wait for its end, and how long.

import type { Command } from 'commander'
import { parseDuration } from './output/durations.ts'

export interface WaitFlags {
  wait: boolean
  timeout?: number
}

export function addWaitOptions(command: Command): Command {
  return command
    .option('--no-wait', 'return the operation at once instead of waiting for its end')
    .option(
      '--timeout <duration>',
      'wait no longer than this, e.g. 30s; then exit with 124 (it goes on)',
      parseDuration,
    )
}
