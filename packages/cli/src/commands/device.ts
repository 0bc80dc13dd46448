// `drover device`: what of a host, beside its disk and its first link, is in a container.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as add from './device-add.ts'
import * as ls from './device-ls.ts'
import * as rm from './device-rm.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'device', 'give devices, directories and links of a host to containers')
  for (const each of [add, ls, rm]) each.register(group)
}
