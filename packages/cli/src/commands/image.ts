// `drover image`: what containers start from.

import type { Command } from 'commander'
import { defineGroup } from '../define-command.ts'
import * as alias from './image-alias.ts'
import * as build from './image-build.ts'
import * as exportImage from './image-export.ts'
import * as importImage from './image-import.ts'
import * as ls from './image-ls.ts'
import * as refresh from './image-refresh.ts'
import * as rm from './image-rm.ts'
import * as set from './image-set.ts'

export function register(program: Command): void {
  const group = defineGroup(program, 'image', 'list, build, import and export images')
  for (const each of [ls, build, importImage, exportImage, refresh, alias, set, rm]) each.register(group)
}
