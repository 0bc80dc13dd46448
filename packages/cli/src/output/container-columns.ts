// The columns of `drover ls`, by the names that --columns knows. Limits are what a container may use; what it asks for, by which it is placed,
// is said to be that.

import type { Container } from '@drover/protocol'
import { InvalidArgumentError } from 'commander'
import type { ContainerUsage } from '../container-usage.ts'
import { formatAge } from './durations.ts'
import { type Palette, paintState } from './palette.ts'
import { formatBytes, formatCpu } from './sizes.ts'
import type { Column } from './table.ts'

const none = '–'
const bytes = (value: number | null | undefined) => (value == null ? none : formatBytes(value))
const cores = (value: number | null | undefined) => (value == null ? none : formatCpu(value))
const bare = (address: string | null | undefined) => address?.replace(/\/.*/, '') ?? none
const words = (list: readonly string[] | undefined) => (list?.length ? list.join(',') : none)

interface View {
  palette: Palette
  nowMs: number
  /** Empty unless a column needs it. */
  usage: ReadonlyMap<string, ContainerUsage>
}

type Described = (view: View) => Omit<Column<Container>, 'header'> & { header?: string }
const right = (value: (container: Container, view: View) => string): Described => {
  return (view) => ({ align: 'right', value: (container) => value(container, view) })
}
const left = (value: (container: Container, view: View) => string): Described => {
  return (view) => ({ value: (container) => value(container, view) })
}

const columns = {
  name: left(({ name }, { palette }) => palette.bold(name)),
  state: left((container, { palette }) => paintState(palette, shownState(container))),
  host: left(({ host }) => host),
  address: left(({ identity }) => bare(identity.ipv4)),
  address6: left(({ identity }) => bare(identity.ipv6)),
  mac: left(({ identity }) => identity.mac),
  cpu: right(({ spec }) => cores(spec.limits?.cpuMilli)),
  memory: right(({ spec }) => bytes(spec.limits?.memoryBytes ?? spec.requests.memoryBytes)),
  disk: right(({ spec }) => bytes(spec.limits?.diskBytes)),
  used: right(({ name }, { usage }) => bytes(usage.get(name)?.memoryBytes)),
  processes: right(({ name }, { usage }) => String(usage.get(name)?.processes ?? none)),
  'cpu-request': right(({ spec }) => formatCpu(spec.requests.cpuMilli)),
  'memory-request': right(({ spec }) => formatBytes(spec.requests.memoryBytes)),
  up: right(({ state, startedAtMs }, { nowMs }) => uptime(state, startedAtMs, nowMs)),
  starts: right(({ starts }) => String(starts)),
  snapshots: right(({ snapshots = [] }) => String(snapshots.length)),
  profiles: left(({ spec }) => words(spec.profiles)),
  labels: left(({ spec }) => words(Object.entries(spec.labels).map(([key, value]) => `${key}=${value}`))),
  image: left(({ spec }) => spec.imageName),
  why: left(({ message }, { palette }) => palette.dim(message ?? '')),
} satisfies Record<string, Described>

export type ColumnName = keyof typeof columns
export const columnNames = Object.keys(columns) as ColumnName[]
export const usualColumns: readonly ColumnName[] = ['name', 'state', 'host', 'address', 'cpu', 'memory', 'up', 'image']
const asksUsage: readonly ColumnName[] = ['used', 'processes']

export const needsUsage = (names: readonly ColumnName[]): boolean => names.some((name) => asksUsage.includes(name))

export const columnsOf = (names: readonly ColumnName[], view: View): Column<Container>[] =>
  names.map((name) => ({ header: name.replace('-', ' ').toUpperCase(), ...columns[name](view) }))

/** `name,used,memory`. */
export function parseColumns(text: string): ColumnName[] {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !columnNames.some((known) => known === name))
  if (unknown === undefined) return names as ColumnName[]
  throw new InvalidArgumentError(`${JSON.stringify(unknown)} is no column; there are ${columnNames.join(', ')}.`)
}

/** One that was stopped for another, and starts again by itself, is more than stopped. */
export const shownState = ({ state, preempted }: Container): string =>
  state === 'stopped' && preempted?.resumes ? 'preempted' : state

function uptime(state: Container['state'], startedAtMs: number | null, nowMs: number): string {
  return ['running', 'frozen', 'migrating'].includes(state) ? formatAge(startedAtMs, nowMs) : none
}
