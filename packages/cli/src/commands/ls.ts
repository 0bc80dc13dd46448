// `drover ls`: the containers of the cluster, one line each.

import type { Container } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName, parsePair } from '../names.ts'
import { formatAge } from '../output/durations.ts'
import { type Palette, paintState } from '../output/palette.ts'
import { formatBytes, formatCpu } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { bareAddress } from './launch.ts'

interface ListFlags {
  host?: string
  state?: string
  label?: Record<string, string>
  quiet?: boolean
}

export function register(program: Command): void {
  defineCommand(program, 'ls', {
    summary: 'list containers',
    examples: [
      ['drover ls', 'all of them'],
      ['drover ls --host a --state running', 'those that run on host a'],
      ['drover stop $(drover ls -q --label team=blue)', 'names only, for other commands'],
    ],
  })
    .alias('list')
    .option('--host <host>', 'only those on this host', parseName)
    .option('--state <state>', 'only those in this state: running, stopped, preempted, frozen, migrating, failed, …')
    .option('-l, --label <KEY=VALUE>', 'only those with this label; repeatable', parsePair)
    .option('-q, --quiet', 'print names only')
    .action(
      action(async ({ output, client }, flags: ListFlags) => {
        const all = await (await client()).containers()
        const containers = all.filter((container) => matches(container, flags)).sort(byName)
        if (output.json) return output.document(containers)
        if (flags.quiet) {
          for (const { name } of containers) output.line(name)
          return
        }
        if (containers.length > 0) return output.line(containerTable(output.palette, containers, Date.now()))
        output.note(
          all.length > 0
            ? `none of ${all.length} containers matches`
            : 'no containers yet; make one: drover launch web',
        )
      }),
    )
}

function matches(container: Container, flags: ListFlags): boolean {
  if (flags.host !== undefined && container.host !== flags.host) return false
  if (flags.state !== undefined && ![container.state, shownState(container)].includes(flags.state)) return false
  return Object.entries(flags.label ?? {}).every(([key, value]) => container.spec.labels[key] === value)
}

export function containerTable(palette: Palette, containers: readonly Container[], nowMs: number): string {
  const messages = containers.some(({ message }) => message !== null)
  return renderTable(
    palette,
    [
      { header: 'NAME', value: ({ name }) => palette.bold(name) },
      { header: 'STATE', value: (container) => paintState(palette, shownState(container)) },
      { header: 'HOST', value: ({ host }) => host },
      { header: 'ADDRESS', value: bareAddress },
      { header: 'CPU', align: 'right', value: ({ spec }) => formatCpu(spec.requests.cpuMilli) },
      { header: 'MEMORY', align: 'right', value: ({ spec }) => formatBytes(spec.requests.memoryBytes) },
      { header: 'UP', align: 'right', value: ({ state, startedAtMs }) => uptime(state, startedAtMs, nowMs) },
      { header: 'IMAGE', value: ({ spec }) => spec.imageName },
      ...(messages ? [{ header: 'WHY', value: ({ message }: Container) => palette.dim(message ?? '') }] : []),
    ],
    containers,
  )
}

/** One that was stopped for another, and starts again by itself, is more than stopped. */
export const shownState = ({ state, preempted }: Container): string =>
  state === 'stopped' && preempted?.resumes ? 'preempted' : state

function uptime(state: Container['state'], startedAtMs: number | null, nowMs: number): string {
  return ['running', 'frozen', 'migrating'].includes(state) ? formatAge(startedAtMs, nowMs) : '–'
}

const collator = new Intl.Collator('en', { numeric: true })

/** web-2 before web-10. */
export function byName(left: { name: string }, right: { name: string }): number {
  return collator.compare(left.name, right.name)
}
