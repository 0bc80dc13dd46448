// `drover image`: what containers start from.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as build from './image-build.ts'
import * as ls from './image-ls.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'image', 'list and build images')
  for (const each of [ls, build]) each.register(group)
}
