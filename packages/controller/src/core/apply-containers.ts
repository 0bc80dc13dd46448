// What a container's host observed, and the end of a deletion. An observation ends the operation that waited for it, in the
// same entry.

import type { Container, Operation } from '@drover/protocol'
import { isStoppingFirst, startAgain } from './apply-power.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { endEphemeral } from './ephemeral.ts'
import { announceMemory, countKills } from './memory-events.ts'
import { endOperation } from './operations.ts'
import { newlyPreempted } from './preemption.ts'
import type { ClusterState, StoredContainer } from './state.ts'

export function applyContainerObserved(draft: Draft, entry: EntryOf<'ContainerObserved'>): Container {
  const container = draft.containerWithId(entry.container, 'observe')
  if (container.host !== entry.host || container.epoch !== entry.epoch) {
    draft.refuse(
      'STALE_EPOCH',
      `observe ${container.name} on ${entry.host} in epoch ${entry.epoch}: it belongs to ${container.host} in epoch ${container.epoch}`,
      { container: container.name },
    )
  }
  if (undecidedMigration(draft.state, container)) {
    draft.refuse('WRONG_STATE', `observe ${container.name}: it is being moved`, { container: container.name })
  }
  const operation = container.operation === null ? undefined : draft.state.tables.operations.get(container.operation)
  // Nobody asked for it: its init ended by itself. Then that is what is desired, until somebody starts it again.
  const exited = operation === undefined && entry.state === 'stopped' && container.desired !== 'stopped'
  const { leasedEpoch: _lease, ...known } = container
  const seen: StoredContainer = {
    ...known,
    ...(entry.leased === true ? { leasedEpoch: entry.epoch } : {}),
    state: container.deleting ? 'deleting' : entry.state,
    message: entry.message,
    initPid: entry.initPid,
    startedAtMs: entry.startedAtMs,
    starts: entry.starts,
    ...(entry.memory === undefined ? {} : { memory: entry.memory }),
    ...(entry.firstBoot === undefined ? {} : { firstBoot: entry.firstBoot }),
  }
  const observed = countKills(container, seen, draft.atMs)
  const after = exited ? draft.reassign({ ...observed, desired: 'stopped' }) : draft.putContainer(observed)
  announce(draft, container, after, exited)
  announceMemory(draft, container, after)
  announceFirstBoot(draft, container, after)
  if (operation) settle(draft, operation, after)
  if (entry.state === 'stopped' && (exited || operation?.kind === 'stop')) endEphemeral(draft, container.id)
  return draft.state.tables.containers.get(container.id)!
}

export function applyContainerDeleted(draft: Draft, entry: EntryOf<'ContainerDeleted'>): null {
  const container = draft.state.tables.containers.get(entry.container)
  if (!container) return null
  if (!container.deleting) {
    draft.refuse('WRONG_STATE', `remove ${container.name}: nobody asked for its deletion`, {
      container: container.name,
    })
  }
  const operation = container.operation === null ? undefined : draft.state.tables.operations.get(container.operation)
  draft.write({ table: 'containers', key: container.id, value: null })
  draft.event(
    'container.deleted',
    container.name,
    `${container.name} was deleted from ${container.host}`,
    container.operation,
  )
  if (operation) endOperation(draft, operation, { state: 'done', message: 'deleted', error: null })
  return null
}

/** A move of it is under way and not decided yet: then its state is what the migration says. */
export function undecidedMigration(state: ClusterState, container: StoredContainer): boolean {
  const migration = container.operation === null ? null : state.tables.operations.get(container.operation)?.migration
  return migration != null && ['planned', 'preparing', 'precopying', 'switching'].includes(migration.phase)
}

function announce(draft: Draft, before: StoredContainer, after: StoredContainer, exited: boolean): void {
  const { name, host, operation } = after
  // A reboot may be reported in the middle, when it has no init: that is no event of its own.
  const rebooting = operation === null && before.starts > 0
  if (rebooting && before.state === 'running' && after.state === 'pending') return
  if (exited) {
    draft.event('container.stopped', name, `${name} on ${host} has ended by itself; it stays stopped`, operation)
  } else if (rebooting && before.state === 'pending' && after.state === 'running' && after.starts > before.starts) {
    draft.event('container.rebooted', name, `${name} on ${host} has rebooted`, operation)
  } else if (before.state !== after.state && before.state !== 'migrating') {
    const why = after.message ? `: ${after.message}` : ''
    draft.event(`container.${after.state}`, name, `${name} on ${host} is ${after.state}${why}`, operation)
  } else if (after.starts > before.starts && before.starts > 0 && before.state === 'running') {
    draft.event('container.rebooted', name, `${name} on ${host} has rebooted`, operation)
  }
}

function announceFirstBoot(
  draft: Draft,
  before: StoredContainer,
  { name, host, firstBoot, operation }: StoredContainer,
) {
  if (firstBoot === undefined || firstBoot.state === 'running' || firstBoot.state === before.firstBoot?.state) return
  const message = firstBoot.message === '' ? '' : `: ${firstBoot.message}`
  const kind = `container.first-boot-${firstBoot.state}`
  draft.event(
    kind,
    name,
    `the first boot of ${name} on ${host} has ${firstBoot.state === 'done' ? 'been done' : 'failed'}${message}`,
    operation,
  )
}

/** Ends the operation when the container is as it wanted it, or can't become so any more. */
function settle(draft: Draft, operation: Operation, container: StoredContainer): void {
  const wanted = {
    launch: 'running',
    heal: 'running',
    rebuild: 'running',
    start: 'running',
    thaw: 'running',
    stop: 'stopped',
    preempt: 'stopped',
    restart: 'running',
    freeze: 'frozen',
    copy: 'running',
    import: 'running',
    'snapshot-restore': 'running',
  } as const
  const state = wanted[operation.kind as keyof typeof wanted]
  if (state === undefined || operation.parameters.container !== container.id) return
  // A restore waits first for its disk, and a copy that isn't to run for nothing else.
  if (operation.kind === 'snapshot-restore' && operation.phase !== 'starting') return
  if ((operation.kind === 'copy' || operation.kind === 'import') && container.desired !== 'running') return
  if ((operation.kind === 'launch' || operation.kind === 'rebuild') && container.desired === 'stopped') {
    endUnstarted(draft, operation, container)
    return
  }
  if (isStoppingFirst(operation)) {
    if (container.state === 'stopped') startAgain(draft, operation, container)
  } else if (container.state === state) {
    if (operation.kind === 'preempt') becomePreempted(draft, operation, container)
    endOperation(draft, operation, { state: 'done', message: `${state} on ${container.host}`, error: null })
  } else if (container.state === 'stopped' && hasEnded(operation, container)) {
    const message = `${operation.kind} ${container.name}: its init has ended; see its logs`
    draft.reassign({ ...container, desired: 'stopped' })
    endOperation(draft, operation, { state: 'failed', message, error: { code: 'WRONG_STATE', message } })
  }
}

function becomePreempted(draft: Draft, operation: Operation, container: StoredContainer): void {
  const { name, host } = container
  const [by, priority] = [String(operation.parameters.by), Number(operation.parameters.priority)]
  draft.putContainer({ ...container, ...newlyPreempted(container, { by, priority, atMs: draft.atMs }) })
  const message = `${name} on ${host} was stopped to make room for ${by}; it starts again when there is room`
  draft.event('container.preempted', name, message, operation.id)
}

/** A launch that only makes it, or a fresh disk of one that was off. */
function endUnstarted(draft: Draft, operation: Operation, container: StoredContainer): void {
  if (container.state !== 'stopped') return
  endOperation(draft, operation, { state: 'done', message: `made on ${container.host}`, error: null })
}

/** Stopped because its init ended, not because it has yet to be started. */
const hasEnded = (operation: Operation, container: StoredContainer): boolean =>
  operation.kind === 'thaw' ||
  operation.kind === 'freeze' ||
  container.starts > Number(operation.parameters.starts ?? 0)
