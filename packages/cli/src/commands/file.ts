// `drover file`: files of containers from outside.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as edit from './file-edit.ts'
import * as ls from './file-ls.ts'
import * as pull from './file-pull.ts'
import * as push from './file-push.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'file', 'put files into containers, get them out, look at them')
  for (const each of [ls, push, pull, edit]) each.register(group)
}
