// `drover snapshot`: containers as they were at some moment.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as create from './snapshot-create.ts'
import * as remove from './snapshot-delete.ts'
import * as ls from './snapshot-ls.ts'
import * as restore from './snapshot-restore.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'snapshot', 'take, list, put back and delete snapshots of containers')
  for (const each of [create, ls, restore, remove]) each.register(group)
}
