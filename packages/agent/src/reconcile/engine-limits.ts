// Pure: what a container's spec means as limits of the engine, and whether the engine has them, and the name. Memory and pids are limited to what was
// asked for when nothing else is said. A request of CPU is a share to plan with, not a cap: a quota would throttle an idle
// container whenever it wakes.

import type { EngineContainer, EngineLimits } from '@drover/engine'
import { type Assignment, type ContainerSpec, wholeSecurity } from '@drover/protocol'
import { engineDevices, withoutVolumeRoot } from './engine-devices.ts'

export function engineLimits({ requests, limits = {}, scheduling }: ContainerSpec): Required<EngineLimits> {
  return {
    cpuMilli: limits.cpuMilli ?? 0,
    memoryBytes: limits.memoryBytes ?? requests.memoryBytes,
    diskBytes: limits.diskBytes ?? 0,
    pids: limits.pids ?? requests.pids,
    cpuWeight: limits.cpuWeight ?? 0,
    cpus: limits.cpus ?? '',
    swapBytes: limits.swapBytes ?? -1,
    ioWeight: limits.ioWeight ?? 0,
    ioReadBytes: limits.ioReadBytes ?? 0,
    ioWriteBytes: limits.ioWriteBytes ?? 0,
    ioReadOperations: limits.ioReadOperations ?? 0,
    ioWriteOperations: limits.ioWriteOperations ?? 0,
    networkBits: limits.networkBits ?? 0,
    networkIngressBits: limits.networkIngressBits ?? 0,
    networkEgressBits: limits.networkEgressBits ?? 0,
    networkMtu: limits.networkMtu ?? 0,
    networkQueue: limits.networkQueue ?? 0,
    networkIsolated: limits.networkIsolated ?? false,
    hugePages64KiB: limits.hugePages64KiB ?? -1,
    hugePages1MiB: limits.hugePages1MiB ?? -1,
    hugePages2MiB: limits.hugePages2MiB ?? -1,
    hugePages1GiB: limits.hugePages1GiB ?? -1,
    memoryPolicy: limits.memoryPolicy ?? 'kill',
    leased: scheduling?.heal === 'fresh',
  }
}

/** An engine that doesn't say can't change them either. */
export function configured(
  { limits, devices, name, security, sysctls, rlimits }: EngineContainer,
  assignment: Pick<Assignment, 'spec' | 'name' | 'volumes'>,
): boolean {
  const { spec, name: given } = assignment
  if (devices !== undefined && !same(withoutVolumeRoot(devices), engineDevices(assignment, ''))) return false
  if (limits === undefined) return true
  if (!same(wholeSecurity(security), wholeSecurity(spec.security))) return false
  if (name !== given) return false
  if (!same(sysctls ?? {}, spec.sysctls ?? {})) return false
  if (!same(rlimits ?? {}, spec.rlimits ?? {})) return false
  const wanted = engineLimits(spec)
  return (Object.keys(wanted) as (keyof EngineLimits)[]).every((key) => (limits[key] ?? absent(key)) === wanted[key])
}

const unsaid: Partial<EngineLimits> = {
  cpus: '',
  swapBytes: -1,
  hugePages64KiB: -1,
  hugePages1MiB: -1,
  hugePages2MiB: -1,
  hugePages1GiB: -1,
  memoryPolicy: 'kill',
  leased: false,
  networkIsolated: false,
}
const absent = (key: keyof EngineLimits) => unsaid[key] ?? 0

/** Deep equality of plain data, in whatever order the keys came. */
function same(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  const keys = Object.keys(left)
  if (keys.length !== Object.keys(right).length) return false
  return keys.every((key) => key in right && same(left[key as keyof typeof left], right[key as keyof typeof right]))
}
