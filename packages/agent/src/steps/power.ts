// The steps that bring a container that this host owns into being and to its power state: one engine call each.

import { type Assignment, wholeSecurity } from '@drover/protocol'
import { engineDeadlines, stopSlackMs } from '../engine-port.ts'
import { callAndMirror, type StepContext } from '../parts.ts'
import { engineDevices } from '../reconcile/engine-devices.ts'
import { engineLimits } from '../reconcile/engine-limits.ts'
import { engineSpec } from './engine-spec.ts'
import { prepareFirstBoot } from './first-boot.ts'
import { stopParams } from './stop-params.ts'

type Owned = StepContext & { assignment: Assignment }

export async function ensureImage({ parts, assignment }: Owned): Promise<void> {
  await parts.fetcher.ensure(assignment.spec.image, assignment.imageSources)
}

export async function create({ parts, assignment }: Owned): Promise<void> {
  await callAndMirror(parts, 'create', { spec: engineSpec(parts, assignment) }, engineDeadlines.start)
}

export async function update({ parts, assignment }: Owned): Promise<void> {
  const { container, epoch, name, spec } = assignment
  parts.volumes.require(assignment, parts.mirror.all())
  await callAndMirror(
    parts,
    'update',
    {
      container,
      epoch,
      name,
      limits: engineLimits(spec),
      devices: engineDevices(assignment, parts.volumes.root),
      security: wholeSecurity(spec.security),
      sysctls: spec.sysctls ?? {},
      rlimits: spec.rlimits ?? {},
    },
    engineDeadlines.quick,
  )
}

export async function start({ parts, assignment }: Owned): Promise<void> {
  const { container, epoch } = assignment
  parts.volumes.require(assignment, parts.mirror.all())
  await prepareFirstBoot(parts, assignment)
  await parts.lease.cover(container)
  await callAndMirror(parts, 'start', { container, epoch }, engineDeadlines.start)
  // Even if it has ended again by now: from here on that is its own will, and it isn't started over and over.
  parts.store.noteRunning(container)
}

export async function stop({ parts, assignment }: Owned): Promise<void> {
  const params = stopParams(assignment)
  await callAndMirror(parts, 'stop', params, params.timeoutMs + stopSlackMs)
}

export async function freeze({ parts, assignment }: Owned): Promise<void> {
  const { container, epoch } = assignment
  await callAndMirror(parts, 'freeze', { container, epoch }, engineDeadlines.quick)
}

/** Also for one that is checkpointed: the move was aborted, and its session has nothing to hold any more. */
export async function thaw({ parts, assignment }: Owned): Promise<void> {
  const { container, epoch } = assignment
  await parts.lease.cover(container)
  await callAndMirror(parts, 'thaw', { container, epoch }, engineDeadlines.quick)
  for (const session of parts.sessions.ofContainer(container)) void session.close()
}
