// Devices of a container, named in its spec: added and removed as it runs, made again at each start. One may be in several
// containers. Most pin their container to its host: device-pins.ts says why.

import { type Static, Type } from 'typebox'

const path = Type.String({
  pattern: '^(/(?!\\.{1,2}(/|$))[^/\\u0000]+)+$',
  maxLength: 4000,
  description: 'an absolute path without . and ..',
})
const hex4 = Type.String({ pattern: '^[0-9a-f]{4}$', description: 'four hex digits' })
/** Of the nodes, as the container’s users see them. */
const owner = {
  mode: Type.Optional(Type.Integer({ minimum: 0, maximum: 0o777, description: 'permissions; 432 (0660) if missing' })),
  uid: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
  gid: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
}
const strict = { additionalProperties: false }

const node = <T extends 'char' | 'block'>(type: T) =>
  Type.Object(
    {
      type: Type.Literal(type),
      source: path,
      path: Type.Optional(path),
      readonly: Type.Optional(Type.Boolean()),
      ...owner,
    },
    strict,
  )

export const Device = Type.Union([
  node('char'),
  node('block'),
  Type.Object(
    {
      type: Type.Literal('bind'),
      source: path,
      path,
      readonly: Type.Optional(Type.Boolean()),
      shared: Type.Optional(Type.Boolean({ description: 'the same on every host, so that a move finds it again' })),
    },
    strict,
  ),
  Type.Object(
    {
      type: Type.Literal('nic'),
      bridge: Type.String({ minLength: 1, maxLength: 15, pattern: '^[^/\\s]+$' }),
      interface: Type.Optional(Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,14}$' })),
      mac: Type.Optional(Type.String({ pattern: '^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$' })),
      ipv4: Type.Optional(Type.String({ pattern: '^\\d{1,3}(\\.\\d{1,3}){3}/\\d{1,2}$' })),
    },
    strict,
  ),
  Type.Object(
    {
      type: Type.Literal('gpu'),
      vendor: Type.Union([Type.Literal('nvidia'), Type.Literal('amd'), Type.Literal('intel'), Type.Literal('any')]),
      ...owner,
    },
    strict,
  ),
  Type.Object({ type: Type.Literal('usb'), vendor: hex4, product: Type.Optional(hex4), ...owner }, strict),
])
export type Device = Static<typeof Device>

/** By name, unique in its container. */
export const DeviceName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$' })
export const Devices = Type.Record(DeviceName, Device, { ...strict, maxProperties: 64 })
export type Devices = Static<typeof Devices>
/** null: removed. */
export const DeviceChange = Type.Record(DeviceName, Type.Union([Device, Type.Null()]), { ...strict, maxProperties: 64 })
