// `drover machines`: what kinds of machines can be asked for when nothing fits, and who is asked.

import type { MachineHookConfig, MachineShape } from '@drover/protocol'
import { type Command, InvalidArgumentError } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { formatBytes, formatCpu, parseBytes, parseCpu } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface MachineFlags extends WaitFlags {
  cpu?: number
  memory?: number
  disk?: number
  price?: number
  pool?: string
  reset?: boolean
}

export function register(program: Command): void {
  const group = defineGroup(program, 'machines', 'machines that can be asked for')
  list(group)
  offer(group)
  hook(group)
}

function list(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list machines on offer',
    examples: [['drover machines ls', 'what may be asked for when nothing fits']],
  }).action(
    action(async ({ output, client }) => {
      const { machines = {} } = await (await client()).policy()
      output.result(machines, () =>
        renderTable(
          output.palette,
          [
            { header: 'MACHINE', value: ([name]) => name },
            { header: 'CPU', align: 'right', value: ([, { cpuMilli }]) => formatCpu(cpuMilli) },
            { header: 'MEMORY', align: 'right', value: ([, { memoryBytes }]) => formatBytes(memoryBytes) },
            { header: 'DISK', align: 'right', value: ([, { diskBytes }]) => formatBytes(diskBytes) },
            { header: 'PRICE', align: 'right', value: ([, { price }]) => String(price) },
            { header: 'POOL', value: ([, { pool }]) => pool ?? 'default' },
          ],
          Object.entries(machines),
        ),
      )
    }),
  )
}

function offer(group: Command): void {
  const command = defineCommand(group, 'offer', {
    summary: 'say that machines of this kind can be asked for',
    description: `Says that machines of this kind can be asked for. When a launch fits nowhere, few moves make no room, and such a machine
would hold it, the hook (\`drover machines hook\`) is told, with what is pending.`,
    examples: [
      ['drover machines offer large --cpu 64 --memory 256GiB --disk 4TiB --price 3', 'may be asked for'],
      ['drover machines offer large --reset', 'no longer'],
    ],
  })
    .argument('<machine>', 'name of the kind', parseName)
    .option('-c, --cpu <cores>', 'cores', parseCpu)
    .option('-m, --memory <size>', 'memory', parseBytes)
    .option('-d, --disk <size>', 'disk', parseBytes)
    .option('--price <number>', 'in any unit, the same for all (default: 1)', parsePrice)
    .option('--pool <name>', 'pool of such hosts (default: default)', parseName)
    .option('--reset', 'no longer on offer')
  addWaitOptions(command).action(
    action(async (session, name: string, flags: MachineFlags) => {
      const client = await session.client()
      const operation = await client.changePolicy({ machines: { [name]: shapeOf(flags) } })
      const ended = await followToSuccess(session, operation, flags)
      session.output.result(ended, () => `machine ${name}: ${ended.progress.message}`)
    }),
  )
}

interface HookFlags extends WaitFlags {
  url?: string
  reset?: boolean
}

function hook(group: Command): void {
  const command = defineCommand(group, 'hook', {
    summary: 'show or set who is asked for machines and told of emptied hosts',
    description: `Shows, or with an argument sets, who is asked for machines and told of hosts that consolidation has emptied: a URL that takes a
POST, or a program with its arguments, which the leading controller runs as itself, without a shell, and gives the same JSON on
standard input. event is provision (shape, machines, pending), release (host; afterwards: hand-back or power-down) or power-on (host,
pending). A call has 30 s and five tries; operation is its idempotency key. It goes before a machineHook in the controllers' configuration.`,
    examples: [
      ['drover machines hook', 'who is told'],
      ['drover machines hook --url https://machines.example/drover', 'a web service'],
      ['drover machines hook -- /usr/local/bin/machines --site one', 'a program, the same on each controller'],
      ['drover machines hook --reset', 'only what the controllers’ configuration says'],
    ],
  })
    .argument('[command...]', 'program, by its absolute path, and its arguments')
    .option('--url <url>', 'a web service that takes a POST', parseUrl)
    .option('--reset', 'as the controllers’ configuration has it')
  addWaitOptions(command).action(
    action(async (session, program: string[], flags: HookFlags) => {
      const client = await session.client()
      if (program.length === 0 && flags.url === undefined && !flags.reset) {
        const { machineHook = null } = await client.policy()
        return session.output.result(machineHook, () => describeHook(machineHook))
      }
      const machineHook = hookOf(program, flags)
      const ended = await followToSuccess(session, await client.changePolicy({ machineHook }), flags)
      session.output.result(ended, () => describeHook(machineHook))
    }),
  )
}

function hookOf(program: string[], { url, reset }: HookFlags): MachineHookConfig | null {
  const said = [program.length > 0, url !== undefined, reset === true].filter(Boolean).length
  if (said !== 1) throw new UsageError('name a program, --url or --reset, and only one of them')
  if (reset) return null
  if (url !== undefined) return { url }
  if (!program[0]!.startsWith('/')) {
    throw new UsageError(`${JSON.stringify(program[0])}: the program is run by another machine: give its absolute path`)
  }
  return { command: program }
}

function describeHook(hook: MachineHookConfig | null): string {
  if (hook === null) return 'no hook is set here; the controllers’ configuration may have one'
  return 'url' in hook ? `POST ${hook.url}` : hook.command.join(' ')
}

function parseUrl(text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a URL: use http:// or https://.`)
}

function shapeOf({ cpu, memory, disk, price, pool, reset }: MachineFlags): MachineShape | null {
  if (reset) return null
  if (cpu === undefined || memory === undefined) throw new UsageError('a machine needs --cpu and --memory, or --reset')
  const place = pool === undefined ? {} : { pool }
  return { cpuMilli: cpu, memoryBytes: memory, diskBytes: disk ?? 0, price: price ?? 1, ...place }
}

function parsePrice(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && Number.isFinite(value)) return value
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a price: use a number from 0 on.`)
}
