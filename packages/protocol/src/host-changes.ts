// Pure: the report that an agent would have made instead of its changes. Null: they are about a report that we don't have.

import type { HostChanges, HostReport, MigrationStep } from './agent-messages.ts'

export function withChanges(report: HostReport | undefined, changes: HostChanges): HostReport | null {
  if (report?.session !== changes.session || report.sequence !== changes.since) return null
  const { sequence, used, engineUp, imageTasks, snapshots } = changes
  const gone = new Set(changes.gone)
  return {
    ...report,
    sequence,
    used,
    engineUp,
    imageTasks,
    snapshots,
    containers: merged(report.containers, changes.containers, ({ container }) => container).filter(
      ({ container }) => !gone.has(container),
    ),
    migrations: merged(report.migrations, changes.migrations, keyOfStep),
  }
}

const keyOfStep = ({ operation, side }: MigrationStep): string => `${operation}/${side}`

function merged<Item>(before: readonly Item[], changed: readonly Item[], key: (item: Item) => string): Item[] {
  const left = new Map(changed.map((item) => [key(item), item]))
  const kept = before.map((item) => {
    const now = left.get(key(item))
    if (now) left.delete(key(item))
    return now ?? item
  })
  return [...kept, ...left.values()]
}
