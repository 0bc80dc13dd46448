// An assignment as the engine wants it.

import type { EngineSpec } from '@drover/engine'
import { type Assignment, wholeSecurity } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import { engineDevices } from '../reconcile/engine-devices.ts'
import { engineLimits } from '../reconcile/engine-limits.ts'

export function engineSpec(parts: AgentParts, assignment: Assignment): EngineSpec {
  const { container, name, epoch, spec, identity } = assignment
  return {
    container,
    name,
    epoch,
    rootfs: parts.images.rootfs(spec.image),
    init: spec.init,
    environment: spec.environment,
    limits: engineLimits(spec),
    identity,
    devices: engineDevices(assignment, parts.volumes.root),
    security: wholeSecurity(spec.security),
    sysctls: spec.sysctls ?? {},
    rlimits: spec.rlimits ?? {},
  }
}
