// Every command of drover, in the order in which help shows them. Adding one is a file here and a line below. A command's file, and all that it
// needs, is loaded when the command is called, or when all are looked at: to load all of them takes longer than most commands.

import type { Command } from 'commander'

interface CommandFile {
  /** Adds the command, or the group of commands, that the file is named after. */
  register(program: Command): void
}

export const commands = {
  up: () => import('./up.ts'),
  down: () => import('./down.ts'),
  doctor: () => import('./doctor.ts'),
  status: () => import('./status.ts'),
  launch: () => import('./launch.ts'),
  ls: () => import('./ls.ts'),
  info: () => import('./info.ts'),
  explain: () => import('./explain.ts'),
  shell: () => import('./shell.ts'),
  console: () => import('./console.ts'),
  exec: () => import('./exec.ts'),
  logs: () => import('./logs.ts'),
  file: () => import('./file.ts'),
  ps: () => import('./ps.ts'),
  top: () => import('./top.ts'),
  df: () => import('./df.ts'),
  start: () => import('./start.ts'),
  stop: () => import('./stop.ts'),
  restart: () => import('./restart.ts'),
  freeze: () => import('./freeze.ts'),
  thaw: () => import('./thaw.ts'),
  set: () => import('./set.ts'),
  device: () => import('./device.ts'),
  volume: () => import('./volume.ts'),
  rename: () => import('./rename.ts'),
  rebuild: () => import('./rebuild.ts'),
  move: () => import('./move.ts'),
  copy: () => import('./copy.ts'),
  export: () => import('./export.ts'),
  import: () => import('./import.ts'),
  snapshot: () => import('./snapshot.ts'),
  preflight: () => import('./preflight.ts'),
  delete: () => import('./delete.ts'),
  host: () => import('./host.ts'),
  rebalance: () => import('./rebalance.ts'),
  transfer: () => import('./transfer.ts'),
  healing: () => import('./healing.ts'),
  pool: () => import('./pool.ts'),
  profile: () => import('./profile.ts'),
  project: () => import('./project.ts'),
  machines: () => import('./machines.ts'),
  image: () => import('./image.ts'),
  publish: () => import('./publish.ts'),
  ops: () => import('./ops.ts'),
  events: () => import('./events.ts'),
  completion: () => import('./completion.ts'),
  version: () => import('./version.ts'),
} as const satisfies Readonly<Record<string, () => Promise<CommandFile>>>

/** These look at all commands. */
const lookAtAll: readonly string[] = ['completion']

/** All that `word`, the first of a command line, can't do without: the file of that command, or, when it is no command's name, all of them. */
export function commandFiles(word = ''): Promise<CommandFile[]> {
  const named = Object.hasOwn(commands, word) && !lookAtAll.includes(word)
  const wanted = named ? [commands[word as keyof typeof commands]] : Object.values(commands)
  return Promise.all(wanted.map((load) => load()))
}
