// The agent's decision, pure: from what is assigned to this host, what the engine has and how far a migration has come to
// the one next step for a container (or null: all is as it should be). It is asked again after every step and every change, so
// it needs no plan longer than one step. Rules that keep a container from running twice:
// - a checkpointed container is thawed, and a restored one released, only on word of the outcome, never on a guess;
// - what an earlier life of this agent restored counts only if the source had said that its dump had succeeded;
// - an assignment of an older epoch than the engine's record does nothing;
// - after a boot of the host nothing is started before a controller has said what is still this host's.

import type { EngineContainer } from '@drover/engine'
import type { Assignment, MigrationStep } from '@drover/protocol'
import { configured } from './reconcile/engine-limits.ts'

export interface SessionView {
  operation: string
  side: 'source' | 'destination'
  step: MigrationStep['step']
  /** What it held is released: nothing more can be done in it. */
  closed: boolean
  /** It is ready to pre-copy, and need not be told to. */
  precopiesAtOnce?: boolean
}

export interface Facts {
  host: string
  assignment: Assignment | null
  /** True when the controller's complete list lacks it, so that whatever the engine has of it goes. */
  unlisted: boolean
  engine: EngineContainer | null
  /** The session of the assignment's migration, if this process has one. */
  session: SessionView | null
  /** The source of the assignment's migration has said that its dump had succeeded, perhaps to an earlier life of this process. */
  switched?: boolean
  imageHeld: boolean
  /** Revision of the assignment under which it was last seen running: under that same one, a stop was its own will. */
  ranUnder: number | null
  /** Its policy wants it started again, and now. */
  restartDue?: boolean
  /** The snapshot task of the assignment has been done, or has failed. */
  taskEnded?: boolean
  /** Of a copy: true when its disk was fetched, false when that failed, null when it has yet to be. */
  diskHere?: boolean | null
  /** It stands still for a copy of its disk. */
  held?: boolean
  /** It went down with its host, and no controller has said since what is still of this host: what is known may be from before the end. */
  unconfirmed?: boolean
  /** Snapshots lie here that the assignment doesn't list. */
  unlistedSnapshots?: boolean
}

export type Side = 'source' | 'destination'

export type Step =
  | { kind: 'ensure-image' }
  | { kind: 'create' }
  /** Its limits or its name have been changed. */
  | { kind: 'update' }
  | { kind: 'start' }
  | { kind: 'stop' }
  | { kind: 'freeze' }
  | { kind: 'thaw' }
  | { kind: 'delete'; epoch: number }
  | { kind: 'release' }
  /** As the assignment's snapshotTask says. */
  | { kind: 'snapshot' }
  /** As the assignment's exportTask says. */
  | { kind: 'export' }
  /** Fetch the disk that it is a copy of. */
  | { kind: 'fill' }
  | { kind: 'prune-snapshots' }
  | { kind: 'prepare-source' }
  | { kind: 'prepare-destination' }
  | { kind: 'precopy' }
  | { kind: 'switch' }
  /** Nothing to do but to say that this side has come to `step`. */
  | { kind: 'note'; side: Side; step: 'released' | 'cleaned' | 'restored' }
  /** The session that should be there is not: this agent was restarted in the middle. */
  | { kind: 'give-up'; side: Side }
  | { kind: 'refuse-stale' }

export type StepKind = Step['kind']

export function nextStep(facts: Facts): Step | null {
  const { assignment, engine } = facts
  if (facts.unconfirmed) return null
  if (!assignment) return facts.unlisted && engine ? { kind: 'delete', epoch: engine.epoch } : null
  if (assignment.role === 'none') return nextWhenNone(facts)
  switch (migrationSide(facts.host, assignment)) {
    case 'source':
      return nextAsSource(facts, assignment)
    case 'destination':
      return nextAsDestination(facts, assignment)
    default:
      return nextForPower(facts, assignment)
  }
}

/** Which side of a migration this host is on; null outside of one. */
export function migrationSide(host: string, assignment: Assignment): Side | null {
  if (assignment.role === 'source' || assignment.role === 'destination') return assignment.role
  if (assignment.role === 'none' || !assignment.migration) return null
  if (assignment.migration.source.host === host) return 'source'
  return assignment.migration.destination.host === host ? 'destination' : null
}

/** Whether a running step makes no sense any more under what is assigned now, so that it should be cut short. */
export function isObsolete(kind: StepKind, operation: string | null, assignment: Assignment | null): boolean {
  if (kind !== 'precopy' && kind !== 'switch' && kind !== 'prepare-source' && kind !== 'prepare-destination')
    return false
  const migration = assignment?.role === 'none' ? null : assignment?.migration
  if (!migration || migration.operation !== operation) return true
  return migration.phase !== 'preparing' && migration.phase !== 'precopying' && migration.phase !== 'switching'
}

function nextWhenNone({ engine, session }: Facts): Step | null {
  if (engine) return { kind: 'delete', epoch: engine.epoch }
  if (session?.side === 'source' && session.step !== 'cleaned') return { kind: 'note', side: 'source', step: 'cleaned' }
  return null
}

function nextAsSource(facts: Facts, assignment: Assignment): Step | null {
  const { engine, session } = facts
  switch (assignment.migration?.phase) {
    case 'preparing':
      if (!session) return { kind: 'prepare-source' }
      return precopiesUnasked(session) && !session.closed ? { kind: 'precopy' } : null
    case 'precopying':
      if (!session) return { kind: 'give-up', side: 'source' }
      return (session.step === 'prepared' || precopiesUnasked(session)) && !session.closed ? { kind: 'precopy' } : null
    case 'switching':
      if (!session) return { kind: 'give-up', side: 'source' }
      return session.step === 'precopied' && !session.closed ? { kind: 'switch' } : null
    case 'aborted':
      return (
        nextForPower(facts, assignment) ??
        (session?.step === 'cleaned' ? null : { kind: 'note', side: 'source', step: 'cleaned' })
      )
    case 'committed':
    case 'cleaning':
    case 'done':
      if (engine) return { kind: 'delete', epoch: engine.epoch }
      return session?.step === 'cleaned' ? null : { kind: 'note', side: 'source', step: 'cleaned' }
    default:
      return null
  }
}

const precopiesUnasked = ({ step, precopiesAtOnce = false }: SessionView): boolean =>
  precopiesAtOnce && step === 'preparing'

function nextAsDestination(facts: Facts, assignment: Assignment): Step | null {
  const { engine, session, switched = false } = facts
  switch (assignment.migration?.phase) {
    case 'preparing':
      return session ? null : { kind: 'prepare-destination' }
    case 'precopying':
    case 'switching':
      if (session) return null
      // Restored while the dump was ending, which may have failed: then the source runs on.
      if (switched && engine?.state === 'restored' && engine.epoch === assignment.epoch)
        return { kind: 'note', side: 'destination', step: 'restored' }
      return { kind: 'give-up', side: 'destination' }
    case 'aborted':
      if (engine) return { kind: 'delete', epoch: engine.epoch }
      return session?.step === 'cleaned' ? null : { kind: 'note', side: 'destination', step: 'cleaned' }
    case 'committed':
    case 'cleaning':
    case 'done':
      return (
        nextForPower(facts, assignment) ??
        (session?.step === 'released' ? null : { kind: 'note', side: 'destination', step: 'released' })
      )
    default:
      return null
  }
}

/** Brings a container that this host owns to its desired power state. */
function nextForPower(facts: Facts, assignment: Assignment): Step | null {
  const { engine, imageHeld, ranUnder, restartDue = false } = facts
  const { desired } = assignment
  if (!engine) return imageHeld ? { kind: 'create' } : { kind: 'ensure-image' }
  if (engine.epoch > assignment.epoch) return null
  // The disk was given up: a fresh one is made in its place.
  if (assignment.diskEpoch !== undefined && engine.epoch < assignment.diskEpoch)
    return { kind: 'delete', epoch: engine.epoch }
  if (engine.epoch < assignment.epoch) return { kind: 'refuse-stale' }
  // It may run elsewhere by now. The engine lets it go on as soon as the leader says that it doesn't.
  if (engine.fenced) return null
  const waits = engine.state === 'checkpointed' || engine.state === 'restored'
  if (!waits && !configured(engine, assignment)) return { kind: 'update' }
  if (assignment.snapshotTask) return nextForTask(facts, engine, assignment.snapshotTask)
  if (assignment.exportTask && !facts.taskEnded && !facts.held && !waits) return { kind: 'export' }
  // Nothing of a copy runs before its disk is there.
  const { origin } = assignment
  const mayFill = engine.state === 'created' || (origin?.refresh && engine.state === 'stopped')
  if (origin && mayFill && facts.diskHere !== true) {
    return facts.diskHere === false ? null : { kind: 'fill' }
  }
  if (facts.held) return null
  if (facts.unlistedSnapshots) return { kind: 'prune-snapshots' }
  switch (engine.state) {
    case 'created':
      return desired === 'stopped' ? null : { kind: 'start' }
    case 'stopped':
      return desired === 'stopped' || (ranUnder === assignment.revision && !restartDue) ? null : { kind: 'start' }
    case 'running':
      return desired === 'stopped' ? { kind: 'stop' } : desired === 'frozen' ? { kind: 'freeze' } : null
    case 'frozen':
      if (desired === 'stopped') return { kind: 'stop' }
      // At its limit of memory it would be there again at once: the engine thaws it when it gets more.
      return desired === 'running' && !engine.memory?.frozenAtLimit ? { kind: 'thaw' } : null
    case 'checkpointed':
      return { kind: 'thaw' }
    case 'restored':
      return { kind: 'release' }
  }
}

/** A task is the only thing that is done to its container. What an earlier life of this agent left of it is undone first. */
function nextForTask(
  { taskEnded = false, held = false }: Facts,
  { state }: EngineContainer,
  { kind }: NonNullable<Assignment['snapshotTask']>,
): Step | null {
  if (taskEnded || held) return null
  if (state === 'checkpointed') return { kind: 'thaw' }
  if (state === 'restored') return { kind: 'release' }
  if (kind === 'restore' && (state === 'running' || state === 'frozen')) return { kind: 'stop' }
  return { kind: 'snapshot' }
}
