// Pure: the report that an agent would have made instead of its changes. Null: they are about a report that we don't have.

import type { HostChanges, HostReport, MigrationStep } from './agent-messages.ts'

export function withChanges(report: HostReport | undefined, changes: HostChanges): HostReport | null {
  if (report?.session !== changes.session || report.sequence !== changes.since) return null
  const { sequence, used, engineUp, pressure, imageTasks, snapshots } = changes
  return {
    ...report,
    sequence,
    used,
    engineUp,
    ...(pressure === undefined ? {} : { pressure }),
    imageTasks,
    snapshots,
    containers: without(
      merged(report.containers, changes.containers, ({ container }) => container),
      changes.gone,
    ),
    migrations: merged(report.migrations, changes.migrations, keyOfStep),
  }
}

const keyOfStep = ({ operation, side }: MigrationStep): string => `${operation}/${side}`

function without(containers: HostReport['containers'], names: readonly string[]): HostReport['containers'] {
  if (names.length === 0) return containers
  const gone = new Set(names)
  return containers.filter(({ container }) => !gone.has(container))
}

/** Mostly nothing has changed, and a host has hundreds of them. */
function merged<Item>(before: Item[], changed: readonly Item[], key: (item: Item) => string): Item[] {
  if (changed.length === 0) return before
  const left = new Map(changed.map((item) => [key(item), item]))
  const kept = before.map((item) => {
    const now = left.get(key(item))
    if (now) left.delete(key(item))
    return now ?? item
  })
  return [...kept, ...left.values()]
}
