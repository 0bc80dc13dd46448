// `drover project`: what the containers of a project may ask for together.

import type { Quota } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { formatBytes, formatCpu, parseBytes, parseCount, parseCpu } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface ProjectFlags extends WaitFlags {
  containers?: number
  memory?: number
  cpu?: number
  disk?: number
  pids?: number
  privileged?: boolean
  reset?: boolean
}

export function register(program: Command): void {
  const group = defineGroup(program, 'project', 'what projects may use')
  list(group)
  set(group)
}

function list(group: Command): void {
  defineCommand(group, 'ls', {
    summary: 'list projects that have a quota',
    examples: [['drover project ls', 'what each may ask for in all']],
  }).action(
    action(async ({ output, client }) => {
      const { projects } = await (await client()).policy()
      const shown = (value: number | undefined, format: (value: number) => string) =>
        value === undefined ? '–' : format(value)
      output.result(projects, () =>
        renderTable(
          output.palette,
          [
            { header: 'PROJECT', value: ([name]) => name },
            { header: 'CONTAINERS', align: 'right', value: ([, quota]) => shown(quota.containers, String) },
            { header: 'MEMORY', align: 'right', value: ([, quota]) => shown(quota.memoryBytes, formatBytes) },
            { header: 'CPU', align: 'right', value: ([, quota]) => shown(quota.cpuMilli, formatCpu) },
            { header: 'DISK', align: 'right', value: ([, quota]) => shown(quota.diskBytes, formatBytes) },
            { header: 'PIDS', align: 'right', value: ([, quota]) => shown(quota.pids, String) },
            { header: 'PRIVILEGED', value: ([, quota]) => (quota.privileged === false ? 'no' : 'yes') },
          ],
          Object.entries(projects),
        ),
      )
    }),
  )
}

function set(group: Command): void {
  const command = defineCommand(group, 'set', {
    summary: 'set a project’s quota',
    description: `Sets what the containers of a project (launch --project) may ask for together. A launch beyond it is refused with the
figures; what runs already stays. What isn't named has no bound.`,
    examples: [
      ['drover project set blue --containers 50 --memory 64GiB', 'at most so many and so much'],
      ['drover project set blue --no-privileged', 'and no privileged containers'],
      ['drover project set blue --reset', 'without a quota'],
    ],
  })
    .argument('<project>', 'name of the project', parseName)
    .option('--containers <number>', 'most containers', parseCount(0, 1_000_000))
    .option('-m, --memory <size>', 'memory in all', parseBytes)
    .option('-c, --cpu <cores>', 'cores in all', parseCpu)
    .option('-d, --disk <size>', 'disk in all', parseBytes)
    .option('--pids <number>', 'processes and threads in all', parseCount(0, 1_000_000_000))
    .option('--no-privileged', 'refuse privileged containers')
    .option('--reset', 'without a quota')
  addWaitOptions(command).action(
    action(async (session, name: string, flags: ProjectFlags) => {
      const client = await session.client()
      const operation = await client.changePolicy({ projects: { [name]: quotaOf(flags) } })
      const ended = await followToSuccess(session, operation, flags)
      session.output.result(ended, () => `project ${name}: ${ended.progress.message}`)
    }),
  )
}

function quotaOf({ containers, memory, cpu, disk, pids, privileged, reset }: ProjectFlags): Quota | null {
  const quota: Quota = {
    ...(containers === undefined ? {} : { containers }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(cpu === undefined ? {} : { cpuMilli: cpu }),
    ...(disk === undefined ? {} : { diskBytes: disk }),
    ...(pids === undefined ? {} : { pids }),
    ...(privileged === false ? { privileged: false } : {}),
  }
  const says = Object.keys(quota).length > 0
  if (says === (reset === true)) throw new UsageError('say what the quota is to be, or --reset, and not both')
  return says ? quota : null
}
