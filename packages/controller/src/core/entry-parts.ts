// What entries of several kinds have in common.

import { ContainerSpec, Name, Placement } from '@drover/protocol'
import { type TProperties, Type } from '@drover/schema'

export const entry = <T extends string, P extends TProperties>(type: T, properties: P) =>
  Type.Object({ type: Type.Literal(type), atMs: Type.Integer(), ...properties })
export const OperationId = Type.String({ minLength: 1, maxLength: 128 })

export const launchProperties = {
  name: Name,
  spec: ContainerSpec,
  host: Name,
  placement: Placement,
  machineId: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  network: Type.String({ description: 'the cluster’s containerNetwork' }),
  network6: Type.Optional(Type.String({ description: 'the cluster’s containerNetwork6' })),
  gateway: Type.Union([Type.String(), Type.Null()]),
  /** The IPv4 address that was asked for. */
  address: Type.Optional(Type.String()),
  address6: Type.Optional(Type.String()),
  mac: Type.Optional(Type.String()),
  /** false: it is made only. */
  start: Type.Optional(Type.Boolean()),
}
