// Volumes: directories with names of their own that outlive containers. One container at a time may have it, as a device of type
// `volume`, on whichever host it is; when that container moves, the volume goes with it. A volume that no container has stays where it was.

import { type Static, Type } from '@drover/schema'
import { namePattern } from './names.ts'
import { Nullable } from './nullable.ts'

/** The log index at which it was made: never used again, so that another volume of that name is another volume. */
export const VolumeId = Type.String({ pattern: '^v[1-9][0-9]{0,15}$', description: 'set by the cluster' })

/** So many, and their bookkeeping still costs nothing. */
export const maxVolumes = 10_000
const maxDescriptionLength = 200

export const Volume = Type.Object({
  id: VolumeId,
  name: Type.String({ pattern: namePattern }),
  description: Type.String({ maxLength: maxDescriptionLength }),
  host: Nullable(Type.String({ description: 'where its directory is; null: no container has had it yet' })),
  /** The log index at which this copy of it was begun: another one of the same volume is old or unfinished. */
  copy: Type.Integer({ minimum: 0 }),
  made: Type.Boolean({ description: 'a container has had it: it is not empty for want of a directory' }),
  createdAtMs: Type.Integer(),
  revision: Type.Integer({ description: 'log index of its last change' }),
})
export type Volume = Static<typeof Volume>

export const VolumeView = Type.Object({
  ...Volume.properties,
  container: Nullable(Type.String({ description: 'name of the container that has it' })),
  device: Nullable(Type.String({ description: 'as what it has it' })),
  path: Nullable(Type.String({ description: 'where it has it' })),
  readonly: Type.Boolean(),
})
export type VolumeView = Static<typeof VolumeView>

export const VolumeRequest = Type.Object(
  { description: Type.Optional(Type.String({ maxLength: maxDescriptionLength })) },
  { additionalProperties: false },
)
export type VolumeRequest = Static<typeof VolumeRequest>

/** A directory of a host that holds a volume. */
export const VolumeCopy = Type.Object({ id: VolumeId, copy: Type.Integer({ minimum: 0 }) })
export type VolumeCopy = Static<typeof VolumeCopy>

/** Which directory of a container's host stands for each of its volumes. `fresh`: it may have to be made. */
export const AssignedVolumes = Type.Record(
  VolumeId,
  Type.Object({ copy: Type.Integer({ minimum: 0 }), fresh: Type.Boolean() }),
)
export type AssignedVolumes = Static<typeof AssignedVolumes>
