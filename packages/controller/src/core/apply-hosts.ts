// Hosts: they join by their first report, change, go silent and are heard again, and are closed to new containers.

import type { Host, Operation } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { plannedMoves } from './move-set.ts'
import { beginOperation, begunBefore, endOperation, nameOf, operationOnHost } from './operations.ts'

export function applyHostObserved(draft: Draft, { host }: EntryOf<'HostObserved'>): Host {
  const before = draft.state.tables.hosts.get(host.name)
  if (draft.state.tables.removedHosts.has(host.name))
    draft.refuse('HOST_NOT_FOUND', `take up host ${host.name}: it was removed from the cluster`, { host: host.name })
  const after = draft.putHost({
    ...before,
    ...host,
    cordoned: before?.cordoned ?? false,
    joinedAtMs: before?.joinedAtMs ?? draft.atMs,
  })
  if (!before) {
    draft.event('host.joined', host.name, `host ${host.name} joined at ${host.address}`, null)
  } else if (before.address !== host.address || different(before.capacity, host.capacity)) {
    draft.event('host.changed', host.name, `host ${host.name} has a new address or capacity`, null)
  }
  return after
}

export function applyHostSilenceChanged(draft: Draft, { host, silent }: EntryOf<'HostSilenceChanged'>): Host {
  const known = draft.host(host)
  if (draft.state.tables.silences.has(host) === silent) return known
  draft.write({ table: 'silences', key: host, value: silent ? { sinceMs: draft.atMs } : null })
  if (!silent && draft.state.tables.losses.has(host)) draft.write({ table: 'losses', key: host, value: null })
  if (silent) draft.event('host.silent', host, `host ${host} is silent: its agent sends no reports`, null)
  else draft.event('host.heard', host, `host ${host} is heard again`, null)
  return known
}

export function applyHostCordonRequested(draft: Draft, entry: EntryOf<'HostCordonRequested'>): Operation {
  const before = begunBefore(draft, entry.operation, entry.kind, entry.host)
  if (before) return before
  const host = draft.host(entry.host)
  const busy = operationOnHost(draft.state, entry.host)
  if (busy && entry.kind !== 'cordon') {
    draft.refuse(
      'BUSY',
      `${entry.kind} host ${entry.host}: its ${nameOf(busy)} ${busy.id} is under way; cancel it first`,
      {
        operation: busy.id,
      },
    )
  }
  setCordoned(draft, host, entry.kind === 'cordon', entry.operation)
  if (entry.kind === 'restore' && entry.bringBack !== undefined) return bringBack(draft, entry, entry.bringBack)
  const operation = beginOperation(draft, {
    id: entry.operation,
    kind: entry.kind,
    target: entry.host,
    phase: 'done',
    message: '',
  })
  const message = entry.kind === 'cordon' ? 'takes no new containers' : 'takes containers again'
  return endOperation(draft, operation, { state: 'done', message, error: null })
}

/** What its last evacuation moved away and is still elsewhere; the planner moves it. */
function bringBack(draft: Draft, entry: EntryOf<'HostCordonRequested'>, parallel: number): Operation {
  const { operations, containers } = draft.state.tables
  const last = [...operations.values()]
    .filter(({ kind, target }) => kind === 'evacuate' && target === entry.host)
    .sort((left, right) => right.createdAtMs - left.createdAtMs || (left.id < right.id ? -1 : 1))[0]
  const plan = (last ? (plannedMoves(last) ?? []) : []).flatMap((move) => {
    const container = containers.get(move.container)
    const left = (move.from ?? entry.host) === entry.host
    if (!container || !left || container.deleting || container.host === entry.host) return []
    const back = { container: container.id, name: container.name, destination: entry.host, from: container.host }
    return [{ ...back, reason: `host ${entry.host} is back in service, and it came from there` }]
  })
  return beginOperation(draft, {
    id: entry.operation,
    kind: 'restore',
    target: entry.host,
    phase: 'moving',
    message: `${plan.length} containers to bring back`,
    total: plan.length,
    parameters: { parallel, plan },
  })
}

export function setCordoned(draft: Draft, host: Host, cordoned: boolean, operation: string): void {
  if (host.cordoned === cordoned) return
  draft.putHost({ ...host, cordoned })
  const kind = cordoned ? 'host.cordoned' : 'host.uncordoned'
  draft.event(
    kind,
    host.name,
    `host ${host.name} ${cordoned ? 'takes no new containers' : 'takes containers again'}`,
    operation,
  )
}

const different = (left: object, right: object): boolean =>
  Object.entries(left).some(([key, value]) => (right as Record<string, unknown>)[key] !== value)
