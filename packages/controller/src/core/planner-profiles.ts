// Containers that haven't got what their profiles say, and could.

import type { Entry } from './entries.ts'
import type { PlanContext } from './planner.ts'
import { profileReach } from './profiles.ts'

const settled = ['running', 'stopped', 'frozen', 'failed']

export function planProfiles({ state, nowMs }: PlanContext): Entry[] {
  if (state.tables.profiles.size === 0) return []
  const entries: Entry[] = []
  for (const container of state.tables.containers.values()) {
    if (container.spec.profiles === undefined || container.operation !== null || container.deleting) continue
    if (!settled.includes(container.state) || !profileReach(state, container)?.changed) continue
    entries.push({ type: 'ProfilesReached', atMs: nowMs, container: container.id })
  }
  return entries
}
