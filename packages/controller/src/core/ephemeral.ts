// A container that was to live until its first stop.

import type { Draft } from './draft.ts'

/** After its stop. */
export function endEphemeral(draft: Draft, id: string): void {
  const container = draft.state.tables.containers.get(id)
  const { ephemeral = false, protected: kept = false } = container?.spec.lifecycle ?? {}
  if (!container || !ephemeral || kept || container.deleting || container.operation !== null) return
  draft.reassign({ ...container, deleting: true, state: 'deleting' })
  draft.event(
    'container.deleting',
    container.name,
    `${container.name} has stopped and is ephemeral: it is deleted`,
    null,
  )
}
