// Devices of a container, named in its spec: added and removed as it runs, made again at each start. One may be in several
// containers. Most pin their container to its host: device-pins.ts says why.

import { type Static, Type } from '@drover/schema'
import { namePattern } from './names.ts'
import { VolumeId } from './volumes.ts'

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
/** Numeric, so that it means the same to everybody; `unix:` is a socket in the file system. */
const number255 = '(25[0-5]|2[0-4]\\d|1?\\d?\\d)'
const ip = `(${number255}(\\.${number255}){3}|\\[[0-9a-f:.]{2,45}\\])`
const port = '([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])'
const proxyAddress = Type.String({
  pattern: `^((tcp|udp):${ip}:${port}|unix:(/[^/\\u0000]+)+)$`,
  maxLength: 112,
  description: 'tcp:ADDRESS:PORT, udp:ADDRESS:PORT (an IPv6 address in brackets) or unix:/PATH',
})
const required = Type.Optional(
  Type.Boolean({
    description: 'false: left out where the host has none, until the next start or until it is plugged in',
  }),
)
const strict = { additionalProperties: false }

const node = <T extends 'char' | 'block'>(type: T) =>
  Type.Object(
    {
      type: Type.Literal(type),
      source: path,
      path: Type.Optional(path),
      readonly: Type.Optional(Type.Boolean()),
      required,
      ...owner,
    },
    strict,
  )
/** By its number, whether the host has a file for it or not. */
const numbered = <T extends 'char' | 'block'>(type: T) =>
  Type.Object(
    {
      type: Type.Literal(type),
      path,
      major: Type.Integer({ minimum: 0, maximum: 4095 }),
      minor: Type.Integer({ minimum: 0, maximum: 1_048_575 }),
      readonly: Type.Optional(Type.Boolean()),
      ...owner,
    },
    strict,
  )

export const Device = Type.Union([
  node('char'),
  node('block'),
  numbered('char'),
  numbered('block'),
  Type.Object(
    {
      type: Type.Literal('bind'),
      source: path,
      path,
      readonly: Type.Optional(Type.Boolean()),
      required,
      recursive: Type.Optional(Type.Boolean({ description: 'with what is mounted below it at that time' })),
      shared: Type.Optional(Type.Boolean({ description: 'the same on every host, so that a move finds it again' })),
    },
    strict,
  ),
  // A directory of the cluster's own that outlives containers and moves along with the one that has it.
  Type.Object(
    {
      type: Type.Literal('volume'),
      volume: Type.String({ pattern: namePattern, description: 'name of the volume' }),
      path,
      readonly: Type.Optional(Type.Boolean()),
      id: Type.Optional(VolumeId),
    },
    strict,
  ),
  // Memory as a file system, of the container’s own.
  Type.Object(
    {
      type: Type.Literal('tmpfs'),
      path,
      sizeBytes: Type.Integer({ minimum: 4096, maximum: 2 ** 50 }),
      ...owner,
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
      ipv6: Type.Optional(Type.String({ pattern: '^[0-9a-f:.]{2,45}/\\d{1,3}$' })),
      mtu: Type.Optional(Type.Integer({ minimum: 68, maximum: 65_535 })),
      queue: Type.Optional(
        Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'packets that wait to be sent' }),
      ),
      isolated: Type.Optional(Type.Boolean({ description: 'it reaches no other port of the bridge that is isolated' })),
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
  Type.Object(
    {
      type: Type.Literal('usb'),
      vendor: hex4,
      product: Type.Optional(hex4),
      serial: Type.Optional(Type.String({ pattern: '^[ -~]{1,126}$' })),
      bus: Type.Optional(Type.Integer({ minimum: 1, maximum: 999 })),
      address: Type.Optional(Type.Integer({ minimum: 1, maximum: 127, description: 'until it is unplugged' })),
      ...owner,
    },
    strict,
  ),
  // An address of the host that leads into the container. Owners and mode are those of a path that is listened at.
  Type.Object({ type: Type.Literal('proxy'), listen: proxyAddress, connect: proxyAddress, ...owner }, strict),
])
export type Device = Static<typeof Device>

/** By name, unique in its container. */
export const DeviceName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,31}$' })
export const Devices = Type.Record(DeviceName, Device, { ...strict, maxProperties: 64 })
export type Devices = Static<typeof Devices>
/** null: removed. */
export const DeviceChange = Type.Record(DeviceName, Type.Union([Device, Type.Null()]), { ...strict, maxProperties: 64 })
