// The steps of a migration as the reconciler calls them. A failure before the commit is no error of the step: it fails the session, which
// is reported, and the controller aborts. Only release (after the commit) is repeated until it succeeds.

import { type Assignment, DroverError } from '@drover/protocol'
import { engineDeadlines } from '../engine-port.ts'
import { prepareDestination } from '../migration/destination.ts'
import type { MigrationSession } from '../migration/session.ts'
import { precopy, prepareSource, switchOver, tellDestination } from '../migration/source.ts'
import type { StepContext } from '../parts.ts'
import type { Side } from '../reconcile.ts'

type Moving = Assignment & { migration: NonNullable<Assignment['migration']> }
type Assigned = StepContext & { assignment: Assignment }

export async function runMigrationStep(
  { parts, container, assignment }: Assigned,
  kind: 'prepare-source' | 'prepare-destination' | 'precopy' | 'switch',
): Promise<void> {
  const moving = assignment as Moving
  const { operation } = moving.migration
  const side = kind === 'prepare-destination' ? 'destination' : 'source'
  const session = parts.sessions.get(operation) ?? parts.sessions.open(operation, container, side)
  try {
    if (kind === 'prepare-source') {
      await parts.faults.at('source.preparing')
      await prepareSource(parts, session, moving)
    } else if (kind === 'prepare-destination') await prepareDestination(parts, session, moving)
    else if (kind === 'precopy') await precopy(parts, session, moving)
    else await switchOver(parts, session, moving)
  } catch (thrown) {
    if (side === 'source') tellDestination(parts, session, thrown)
    session.fail(thrown)
    parts.log.warn({ container, operation, kind, error: DroverError.from(thrown).message }, 'migration step failed')
  }
}

/** Lets a restored container run. `blackout_ms` compares two hosts' clocks: it is as true as they are in step. */
export async function release({ parts, container, assignment }: Assigned): Promise<void> {
  const { epoch, migration } = assignment
  await parts.faults.at('destination.releasing')
  await parts.lease.cover(container)
  const answer = await parts.engine.call('release', { container, epoch }, { deadlineMs: engineDeadlines.quick })
  const resumedAtNs = answer.figures.resumedAtNs ?? Date.now() * 1e6
  parts.mirror.answer(answer.container)
  const session = sessionOf(parts, container, migration?.operation)
  if (!session) return
  Object.assign(session.figures, answer.figures)
  const frozenAtNs = session.figures.sourceFrozenAtNs ?? 0
  if (frozenAtNs > 0 && migration?.mode !== 'frozen') session.figures.blackout_ms = (resumedAtNs - frozenAtNs) / 1e6
  session.advance('released')
  void session.close()
}

/** Says where this side stands when there's nothing else to do, also when the session is of an earlier life of this agent. */
export async function note(
  { parts, container, assignment }: Assigned,
  side: Side,
  step: 'released' | 'cleaned' | 'restored',
): Promise<void> {
  const operation = assignment.migration?.operation
  const known = sessionOf(parts, container, operation)
  if (!known && side === 'source') await forgetAhead(parts, assignment)
  const session = known ?? (operation ? parts.sessions.open(operation, container, side) : null)
  session?.advance(step)
  if (step !== 'restored') await session?.close()
}

export async function giveUp({ parts, container, assignment }: Assigned, side: Side): Promise<void> {
  const { operation, phase } = (assignment as Moving).migration
  const session = parts.sessions.open(operation, container, side)
  if (side === 'source') await forgetAhead(parts, assignment)
  session.fail(
    new DroverError(
      'TRANSFER_FAILED',
      `move ${assignment.name}: the agent of ${parts.host} was restarted while ${phase}`,
    ),
  )
}

/** What an earlier life of this agent had the engine do ahead of a freeze: it would go on tracking writes. */
async function forgetAhead(parts: StepContext['parts'], { container, epoch }: Assignment): Promise<void> {
  if (!parts.mirror.get(container)) return
  const nothing = { container, epoch, directory: '/', mostBytes: 0 }
  await parts.engine.call('copyMemory', nothing, { deadlineMs: engineDeadlines.quick }).catch((thrown) => {
    parts.log.warn({ container, error: DroverError.from(thrown).message }, 'forget the memory that went ahead')
  })
}

/** The session of the operation, or, when the assignment names none any more, the container's latest. */
function sessionOf(
  parts: StepContext['parts'],
  container: string,
  operation: string | undefined,
): MigrationSession | null {
  if (operation) return parts.sessions.get(operation)
  return parts.sessions.ofContainer(container).at(-1) ?? null
}
