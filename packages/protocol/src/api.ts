// Bodies and paths of the HTTP API, version 1. Every write answers 202 with the Operation that carries it out, and takes
// an `Idempotency-Key` header: the same key gives the same operation, however often it is sent.

import { type Static, Type } from 'typebox'
import { Limits, Name, type Resources, RestartPolicy, Scheduling } from './resources.ts'

export * from './paths.ts'

export const LaunchRequest = Type.Object(
  {
    name: Name,
    image: Type.Optional(Name),
    host: Type.Optional(Name),
    cpuMilli: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_024_000 })),
    memoryBytes: Type.Optional(Type.Integer({ minimum: 4 << 20 })),
    diskBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    pids: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_194_304 })),
    limits: Type.Optional(Limits),
    restart: Type.Optional(RestartPolicy),
    scheduling: Type.Optional(Scheduling),
    environment: Type.Optional(Type.Record(Type.String(), Type.String())),
    labels: Type.Optional(Type.Record(Type.String(), Type.String())),
  },
  { additionalProperties: false },
)
export type LaunchRequest = Static<typeof LaunchRequest>

/** What a launch that says nothing gets. */
export const defaultRequests: Resources = {
  cpuMilli: 100,
  memoryBytes: 64 << 20,
  diskBytes: 1 << 30,
  pids: 1024,
}
export const defaultImageName = 'busybox'

export const MoveRequest = Type.Object(
  { host: Type.Optional(Name), mode: Type.Optional(Type.Union([Type.Literal('live'), Type.Literal('cold')])) },
  { additionalProperties: false },
)
export type MoveRequest = Static<typeof MoveRequest>

export const EvacuateRequest = Type.Object(
  { parallel: Type.Optional(Type.Integer({ minimum: 1, maximum: 32 })) },
  { additionalProperties: false },
)
export type EvacuateRequest = Static<typeof EvacuateRequest>

export const ImageBuildRequest = Type.Object(
  {
    recipe: Type.Union([Type.Literal('busybox'), Type.Literal('debian')]),
    name: Type.Optional(Name),
    host: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type ImageBuildRequest = Static<typeof ImageBuildRequest>

export const StopRequest = Type.Object(
  { timeoutMs: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000 })) },
  { additionalProperties: false },
)
export type StopRequest = Static<typeof StopRequest>
