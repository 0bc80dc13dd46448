// `drover host`: the hosts of the cluster.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as cordon from './host-cordon.ts'
import * as evacuate from './host-evacuate.ts'
import * as lost from './host-lost.ts'
import * as ls from './host-ls.ts'
import * as remove from './host-remove.ts'
import * as restore from './host-restore.ts'
import * as set from './host-set.ts'
import * as show from './host-show.ts'
import * as token from './host-token.ts'
import * as uncordon from './host-uncordon.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'host', 'list hosts, let new ones join, empty them, take them out and back in')
  for (const each of [ls, show, set, evacuate, restore, cordon, uncordon, lost, token, remove]) each.register(group)
}
