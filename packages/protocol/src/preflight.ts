// Whether a container could move live: what was found in it, and what the hosts lack. The move asks the same questions and refuses by
// the same words, before anything is frozen.

import { type Static, Type } from '@drover/schema'
import type { HostFeatures } from './resources.ts'

export const PreflightFinding = Type.Object({
  reason: Type.String({ description: 'a name for programs, e.g. IO_URING' }),
  pid: Type.Integer({ description: 'inside; 0: it is the container’s as a whole' }),
  process: Type.String(),
  message: Type.String({ description: 'one sentence for a person' }),
  passing: Type.Boolean({ description: 'passes by itself, usually within milliseconds' }),
  cpus: Type.Optional(Type.String({ description: 'AFFINITY: those that it is bound to, e.g. 0-2,5' })),
})
export type PreflightFinding = Static<typeof PreflightFinding>

export const Preflight = Type.Object({
  container: Type.String(),
  /** Where it is. */
  host: Type.String(),
  live: Type.Boolean({ description: 'it could move live now, to one of `hosts` at least' }),
  findings: Type.Array(PreflightFinding),
  warnings: Type.Optional(
    Type.Array(PreflightFinding, { description: 'what would be different after a live move, and doesn’t hinder it' }),
  ),
  hosts: Type.Array(
    Type.Object({
      host: Type.String(),
      live: Type.Boolean(),
      obstacles: Type.Array(Type.String()),
      notes: Type.Array(Type.String({ description: 'no obstacle, but good to know' })),
    }),
  ),
  fallback: Type.String({ description: 'what would work instead; empty: none is needed' }),
})
export type Preflight = Static<typeof Preflight>

export const coldFallback = 'move it cold: it is stopped, moved with its disk, and started there'

/** What keeps a container of `source` from being restored at `destination`; nothing: it can go. */
export function featureObstacles(source: HostFeatures, destination: HostFeatures): string[] {
  const obstacles: string[] = []
  if (!source.criu.usable) obstacles.push(`no usable CRIU where it is: ${source.criu.reason}`)
  if (!destination.criu.usable) obstacles.push(`no usable CRIU there: ${destination.criu.reason}`)
  if (source.engine !== destination.engine) obstacles.push(`its engine is ${destination.engine}, not ${source.engine}`)
  if (source.architecture !== destination.architecture) {
    obstacles.push(`its architecture is ${destination.architecture}, not ${source.architecture}`)
  }
  if (source.cgroup !== destination.cgroup) {
    obstacles.push(`its cgroup layout is ${destination.cgroup}, not ${source.cgroup}`)
  }
  if (older(destination.criu.version, source.criu.version)) {
    obstacles.push(`its CRIU ${destination.criu.version} is older than ${source.criu.version}, which writes the images`)
  }
  const flags = new Set(destination.cpuFlags)
  const missing = destination.cpuFlags ? (source.cpuFlags ?? []).filter((flag) => !flags.has(flag)) : []
  if (missing.length > 0) obstacles.push(`its CPU lacks ${missing.join(', ')}`)
  const [here, there] = [source.protocolVersion, destination.protocolVersion]
  if (here !== undefined && there !== undefined && here !== there) {
    obstacles.push(`it speaks protocol version ${there}, not ${here}`)
  }
  return obstacles
}

export function featureNotes(source: HostFeatures, destination: HostFeatures): string[] {
  if (!older(destination.kernel, source.kernel)) return []
  return [
    `its kernel ${destination.kernel} is older than ${source.kernel}: what only the newer one has is refused there`,
  ]
}

/** Processes that are bound to CPUs of which a host with so many has none. With one of them, they are bound to it there. */
export function affinityNotes(warnings: readonly PreflightFinding[], hostCpus: number): string[] {
  return warnings
    .filter(({ cpus }) => cpus !== undefined && Number.parseInt(cpus, 10) >= hostCpus)
    .map(({ message }) => `${message}, which it hasn’t got: it would run on any there`)
}

/** By the first two numbers. */
function older(version: string | null, than: string | null): boolean {
  const [major = 0, minor = 0] = numbersOf(version)
  const [thanMajor = 0, thanMinor = 0] = numbersOf(than)
  if (version === null || than === null) return false
  return major < thanMajor || (major === thanMajor && minor < thanMinor)
}

const numbersOf = (version: string | null): number[] => (version ?? '').split(/[.-]/).map(Number).slice(0, 2)
