// The next step of a migration. Until it is decided, any failure, deadline, silent side or wish to cancel aborts it; the
// decision itself is only a proposal, and apply takes the first. Afterwards both sides are waited for, but not for ever:
// what a lost side leaves behind, its assignments clean up when it is back.

import type { Migration, MigrationFigures, MigrationPhase, MigrationStep, Operation } from '@drover/protocol'
import type { Entry, EntryOf } from './entries.ts'
import type { MoveQueue } from './move-queue.ts'
import { isGone, isSilent, migrationStep, type Observed, observedContainer } from './observed.ts'
import { phaseSinceMs } from './operations.ts'
import type { PlanContext } from './planner.ts'
import { observation } from './planner-observe.ts'

/** Longest each phase may last, ms. */
export const phaseDeadlinesMs: Readonly<Record<MigrationPhase, number>> = {
  /** Its place in line; other limits than these end it sooner, e.g. the deadline of an evacuation. */
  planned: 6 * 60 * 60_000,
  /** The destination may have to fetch an image of gigabytes. */
  preparing: 10 * 60_000,
  /** The writable layer may have gigabytes too. */
  precopying: 60 * 60_000,
  /** The container is frozen: users wait. A cold move stops it first, which takes its init's time. */
  switching: 60_000,
  committed: 60_000,
  aborted: 30_000,
  cleaning: 30_000,
  done: 0,
}
/** CRIU takes a whole core, and two that share one double both blackouts; so a host of few cores freezes one container at a time. */
const coresPerSwitch = 2
/** A source that isn't clean so long after the decision is waited for in a phase of its own; mostly it is, and the phase would be one entry more. */
const cleaningAfterMs = 1_000
/** Released at the destination, and not told yet: nobody stands still for that. */
const mostUntold = 2
/** Beyond this they wait for each other in the kernel: namespaces and network devices have one lock each. */
const mostSwitchesPerHost = 4

/** By host, how many containers are in their blackout now: are dumped there, will come there, are restored there, or are let run. */
export interface SwitchSlots {
  leaving: Map<string, number>
  coming: Map<string, number>
  restoring: Map<string, number>
  landing: Map<string, number>
}

/**
 * The source has done its part when all is sent: then it can dump the next, also one for the same destination, which mostly lets this one
 * run before that one's images are there.
 */
export function takenSlots(observed: Observed, operations: readonly Operation[]): SwitchSlots {
  const slots: SwitchSlots = { leaving: new Map(), coming: new Map(), restoring: new Map(), landing: new Map() }
  for (const { id, migration } of operations) {
    if (migration?.phase !== 'switching' && migration?.phase !== 'committed') continue
    const { source, destination, phase } = migration
    const runs = phase === 'committed' && reached(migrationStep(observed, destination, id, 'destination'), 'released')
    if (runs) continue
    const restored =
      phase === 'committed' || reached(migrationStep(observed, destination, id, 'destination'), 'restored')
    const sent = reached(migrationStep(observed, source, id, 'source'), 'switched')
    if (restored) add(slots.landing, destination)
    else if (sent) add(slots.restoring, destination)
    else take(slots, migration)
  }
  return slots
}

export function planMove(context: PlanContext, operation: Operation, slots: SwitchSlots, queue: MoveQueue): Entry[] {
  const { migration } = operation
  if (!migration) return []
  const sides = sidesOf(context, operation, migration)
  switch (migration.phase) {
    case 'planned':
    case 'preparing':
    case 'precopying':
    case 'switching':
      return planUndecided(context, operation, migration, sides, slots, queue)
    case 'committed':
    case 'cleaning':
      return planCommitted(context, operation, migration, sides)
    case 'aborted':
      return planAborted(context, operation, migration, sides)
    case 'done':
      return []
  }
}

type Ended = EntryOf<'OperationEnded'>

interface Sides {
  source: MigrationStep | undefined
  destination: MigrationStep | undefined
  /** What their figures say anew, made when somebody asks: mostly there is nothing to propose. */
  readonly figures: MigrationFigures
}

function sidesOf({ observed }: PlanContext, operation: Operation, migration: Migration): Sides {
  const source = migrationStep(observed, migration.source, operation.id, 'source')
  const destination = migrationStep(observed, migration.destination, operation.id, 'destination')
  return {
    source,
    destination,
    get figures() {
      return newFigures(migration.figures, { ...source?.figures, ...destination?.figures })
    },
  }
}

/** What is committed already needn't be said again: every controller reads and keeps each entry. */
const newFigures = (known: MigrationFigures, said: MigrationFigures): MigrationFigures =>
  Object.fromEntries(Object.entries(said).filter(([key, value]) => known[key as keyof MigrationFigures] !== value))

const order: readonly MigrationStep['step'][] = [
  'preparing',
  'prepared',
  'precopied',
  'switched',
  'restored',
  'released',
  'cleaned',
]
const reached = (side: MigrationStep | undefined, step: MigrationStep['step']): boolean =>
  side !== undefined && side.step !== 'failed' && order.indexOf(side.step) >= order.indexOf(step)

function planUndecided(
  context: PlanContext,
  operation: Operation,
  migration: Migration,
  sides: Sides,
  slots: SwitchSlots,
  queue: MoveQueue,
): Entry[] {
  const base = () => ({ atMs: context.nowMs, operation: operation.id, figures: sides.figures })
  if (readyToCommit(context, operation, migration, sides)) return [{ type: 'MigrationCommitted', ...base() }]
  const error = reasonToAbort(context, operation, migration, sides)
  if (error) return [{ type: 'MigrationAborted', ...base(), error }]
  const both = (step: MigrationStep['step']) => reached(sides.source, step) && reached(sides.destination, step)
  switch (migration.phase) {
    case 'planned':
      return queue.admitted.has(operation.id) ? [{ type: 'MigrationAdvanced', ...base(), phase: 'preparing' }] : []
    case 'preparing':
    case 'precopying': {
      const asks = !migration.precopiesAtOnce || sides.source?.step === 'prepared'
      if (migration.phase === 'preparing' && asks)
        return both('prepared') ? [{ type: 'MigrationAdvanced', ...base(), phase: 'precopying' }] : []
      if (!both('precopied') || !maySwitch(context, slots, migration)) return []
      take(slots, migration)
      return [{ type: 'MigrationAdvanced', ...base(), phase: 'switching' }]
    }
    default:
      return []
  }
}

/**
 * Restored means that everything of the source has arrived, so nothing of the source is waited for: users are waiting, and
 * a source that has died since takes nothing with it.
 */
function readyToCommit(
  { observed, nowMs }: PlanContext,
  operation: Operation,
  migration: Migration,
  sides: Sides,
): boolean {
  return (
    migration.phase === 'switching' &&
    !operation.cancelRequested &&
    reached(sides.destination, 'restored') &&
    !isSilent(observed, migration.destination, nowMs)
  )
}

function reasonToAbort(
  context: PlanContext,
  operation: Operation,
  migration: Migration,
  sides: Sides,
): { code: string; message: string } | null {
  const { observed, nowMs } = context
  const what = `move ${operation.target} from ${migration.source} to ${migration.destination}`
  // A failure is told before a wish: it explains more.
  for (const side of [sides.source, sides.destination]) {
    if (side?.step === 'failed') {
      const host = side.side === 'source' ? migration.source : migration.destination
      const { code, message } = side.error ?? { code: 'INTERNAL', message: 'no reason given' }
      // The source tells the destination what went wrong, and that one may be heard first.
      const told = message.startsWith(`source ${migration.source}: `) ? '' : `${side.side} ${host}: `
      return { code, message: `${what}: ${told}${message}` }
    }
  }
  if (operation.cancelRequested) return { code: 'CANCELLED', message: `${what}: cancelled` }
  for (const host of [migration.source, migration.destination]) {
    if (isSilent(observed, host, nowMs)) return { code: 'HOST_UNREACHABLE', message: `${what}: host ${host} is silent` }
  }
  const lastedMs = nowMs - phaseSinceMs(operation)
  const deadlineMs = phaseDeadlinesMs[migration.phase]
  if (lastedMs <= deadlineMs) return null
  return { code: 'TIMED_OUT', message: `${what}: ${migration.phase} took more than ${deadlineMs} ms` }
}

function planCommitted(context: PlanContext, operation: Operation, migration: Migration, sides: Sides): Entry[] {
  const { observed, nowMs } = context
  const lastedMs = nowMs - phaseSinceMs(operation)
  const overdue = lastedMs > phaseDeadlinesMs[migration.phase]
  if (migration.phase === 'committed' && !reached(sides.destination, 'released')) {
    if (!overdue) return []
    const message = `move ${operation.target}: it belongs to ${migration.destination} now, which has not let it run for ${phaseDeadlinesMs.committed} ms`
    return [ended(context, operation, 'failed', message, { code: 'HOST_UNREACHABLE', message }, sides.figures)]
  }
  const cleaned = sides.source?.step === 'cleaned' || isGone(observed, migration.source, migration.container)
  const lost = isSilent(observed, migration.source, nowMs)
  const message = `${migration.source} → ${migration.destination}`
  if (migration.phase === 'committed') {
    const lasted = () => ({ ...sides.figures, phase_committed_ms: Math.max(lastedMs, 0) })
    if (cleaned)
      return [{ ...ended(context, operation, 'done', message, null, lasted()), ...landed(context, migration) }]
    if (!lost && lastedMs < cleaningAfterMs) return []
    return [
      { type: 'MigrationAdvanced', atMs: nowMs, operation: operation.id, phase: 'cleaning', figures: sides.figures },
    ]
  }
  if (!cleaned && !lost && !overdue) return []
  const later = cleaned ? '' : `; ${migration.source} cleans up when it can`
  return [ended(context, operation, 'done', message + later, null, sides.figures)]
}

/** How it is there, which would else be an entry of its own. */
function landed(context: PlanContext, { container: id, destination }: Migration): Pick<Ended, 'observed'> {
  const container = context.state.tables.containers.get(id)
  const seen = observedContainer(context.observed, destination, id)
  const news = container && seen && observation(context, container, destination, seen)
  if (!news) return {}
  const { type: _type, atMs: _atMs, ...observed } = news
  return { observed }
}

function planAborted(context: PlanContext, operation: Operation, migration: Migration, sides: Sides): Entry[] {
  const { observed, nowMs, state } = context
  const overdue = nowMs - phaseSinceMs(operation) > phaseDeadlinesMs.aborted
  const container = state.tables.containers.get(migration.container)
  const left = observedContainer(observed, migration.destination, migration.container)
  const destinationClean =
    isSilent(observed, migration.destination, nowMs) ||
    sides.destination?.step === 'cleaned' ||
    (sides.destination === undefined && left === undefined)
  const kept = observedContainer(observed, migration.source, migration.container)
  const told = container !== undefined && kept !== undefined && kept.revision >= container.assignedRevision
  const sourceFree =
    isSilent(observed, migration.source, nowMs) ||
    sides.source?.step === 'cleaned' ||
    (told && kept.state !== 'checkpointed')
  if (!(destinationClean && sourceFree) && !overdue) return []
  const error = operation.error ?? { code: 'INTERNAL', message: `move ${operation.target}: aborted` }
  return [
    ended(context, operation, error.code === 'CANCELLED' ? 'cancelled' : 'failed', error.message, error, sides.figures),
  ]
}

function ended(
  { nowMs }: PlanContext,
  operation: Operation,
  state: 'done' | 'failed' | 'cancelled',
  message: string,
  error: { code: string; message: string } | null,
  figures: MigrationFigures,
): Ended {
  return { type: 'OperationEnded', atMs: nowMs, operation: operation.id, state, message, error, figures }
}

function maySwitch(context: PlanContext, slots: SwitchSlots, { source, destination }: Migration): boolean {
  const count = (kind: keyof SwitchSlots, host: string) => slots[kind].get(host) ?? 0
  const onTheWay = (host: string) => count('leaving', host) + count('coming', host)
  const restoring = count('restoring', destination)
  return (
    onTheWay(source) + count('restoring', source) + count('landing', source) < mostSwitches(context, source) &&
    onTheWay(destination) < mostSwitches(context, destination) &&
    // Dumped beside it, the next would make both stand still for longer, and gain nothing.
    restoring < mostSwitches(context, destination) &&
    // That one runs is told with the next news. One that doesn't get on there holds up those that would come after it.
    restoring + count('landing', destination) <= mostSwitches(context, destination) + mostUntold
  )
}

function mostSwitches({ state }: PlanContext, host: string): number {
  const cores = state.tables.hosts.get(host)?.features.cores ?? 1
  return Math.min(mostSwitchesPerHost, Math.max(1, Math.floor(cores / coresPerSwitch)))
}

function take({ leaving, coming }: SwitchSlots, { source, destination }: Migration): void {
  add(leaving, source)
  add(coming, destination)
}

const add = (counts: Map<string, number>, host: string) => counts.set(host, (counts.get(host) ?? 0) + 1)
