// Every command of drover, in the order in which help shows them. Adding one is a file here and a line below.

import type { Command } from 'commander'
import * as completion from './completion.ts'
import * as consoleCommand from './console.ts'
import * as copy from './copy.ts'
import * as deleteContainer from './delete.ts'
import * as device from './device.ts'
import * as df from './df.ts'
import * as doctor from './doctor.ts'
import * as down from './down.ts'
import * as events from './events.ts'
import * as exec from './exec.ts'
import * as explain from './explain.ts'
import * as exportContainer from './export.ts'
import * as file from './file.ts'
import * as freeze from './freeze.ts'
import * as healing from './healing.ts'
import * as host from './host.ts'
import * as image from './image.ts'
import * as importContainer from './import.ts'
import * as info from './info.ts'
import * as launch from './launch.ts'
import * as logs from './logs.ts'
import * as ls from './ls.ts'
import * as machines from './machines.ts'
import * as move from './move.ts'
import * as ops from './ops.ts'
import * as pool from './pool.ts'
import * as preflight from './preflight.ts'
import * as profile from './profile.ts'
import * as project from './project.ts'
import * as ps from './ps.ts'
import * as publish from './publish.ts'
import * as rebalance from './rebalance.ts'
import * as rebuild from './rebuild.ts'
import * as rename from './rename.ts'
import * as restart from './restart.ts'
import * as set from './set.ts'
import * as shell from './shell.ts'
import * as snapshot from './snapshot.ts'
import * as start from './start.ts'
import * as status from './status.ts'
import * as stop from './stop.ts'
import * as thaw from './thaw.ts'
import * as top from './top.ts'
import * as transfer from './transfer.ts'
import * as up from './up.ts'
import * as version from './version.ts'
import * as volume from './volume.ts'

export const commands: readonly ((program: Command) => void)[] = [
  up.register,
  down.register,
  doctor.register,
  status.register,
  launch.register,
  ls.register,
  info.register,
  explain.register,
  shell.register,
  consoleCommand.register,
  exec.register,
  logs.register,
  file.register,
  ps.register,
  top.register,
  df.register,
  start.register,
  stop.register,
  restart.register,
  freeze.register,
  thaw.register,
  set.register,
  device.register,
  volume.register,
  rename.register,
  rebuild.register,
  move.register,
  copy.register,
  exportContainer.register,
  importContainer.register,
  snapshot.register,
  preflight.register,
  deleteContainer.register,
  host.register,
  rebalance.register,
  transfer.register,
  healing.register,
  pool.register,
  profile.register,
  project.register,
  machines.register,
  image.register,
  publish.register,
  ops.register,
  events.register,
  completion.register,
  version.register,
]
