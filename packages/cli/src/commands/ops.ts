// `drover ops`: what is and was going on.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as cancel from './ops-cancel.ts'
import * as ls from './ops-ls.ts'
import * as show from './ops-show.ts'
import * as wait from './ops-wait.ts'
import * as watch from './ops-watch.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'ops', 'list operations, wait for them, cancel them')
  for (const each of [ls, show, watch, wait, cancel]) each.register(group)
}
