// `drover ps`: the processes of a container, as its host sees them.

import type { ProcessStatus } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName } from '../names.ts'
import type { Palette } from '../output/palette.ts'
import { formatBytes } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'

export function register(program: Command): void {
  defineCommand(program, 'ps', {
    summary: 'list the processes of a container',
    description:
      'Lists the processes of a container as its host sees them: nothing is run inside, so it works for frozen and hanging ones, too. PIDs and users are those inside.',
    examples: [
      ['drover ps web', 'pid, user, state, time, memory and command of each'],
      ['drover ps web --json', 'with threads, disk traffic and the PIDs of the host'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .action(action(list))
}

async function list({ output, client }: Session, name: string): Promise<void> {
  const answer = await (await client()).inside(name, 'processes', {})
  if (output.json) return output.document(answer.processes)
  if (answer.processes.length === 0) return output.note(`${name} has no processes: it does not run`)
  output.line(processTable(output.palette, answer.processes))
  if (answer.more) output.note(`and more: these are the first ${answer.processes.length}`)
}

function processTable(palette: Palette, processes: readonly ProcessStatus[]): string {
  return renderTable(
    palette,
    [
      { header: 'PID', align: 'right', value: ({ pid }) => String(pid) },
      { header: 'UID', align: 'right', value: ({ uid }) => String(uid) },
      { header: 'STATE', value: ({ state }) => state },
      { header: 'TIME', align: 'right', value: ({ cpuUsec }) => cpuTime(cpuUsec) },
      { header: 'MEMORY', align: 'right', value: ({ memoryBytes }) => formatBytes(memoryBytes) },
      { header: 'COMMAND', value: ({ command }) => printable(command) },
    ],
    processes.toSorted((left, right) => left.pid - right.pid),
  )
}

/** `1:02.34`, minutes and seconds of processor time, as in top. */
export function cpuTime(usec: number): string {
  const seconds = usec / 1e6
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, '0')}`
}

/** A command line may hold anything, the terminal's control sequences too. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}
