// A container as an archive: its owner writes its disk into a file of its host, from where it is read in pieces; and a disk that was sent to a
// host becomes a new container. What the archive says of the container beside its disk is a launch.

import { type Static, Type } from '@drover/schema'
import { LaunchRequest } from './api.ts'
import { uploadPattern } from './bulk.ts'
import { namePattern } from './names.ts'

const Name = Type.String({ pattern: namePattern, description: 'a DNS label' })
const UploadId = Type.String({ pattern: uploadPattern })

/** The operation’s parameters say `upload` and `host`: where the disk lies when it is done, for a day. */
export const ExportRequest = Type.Object({ snapshot: Type.Optional(Name) }, { additionalProperties: false })
export type ExportRequest = Static<typeof ExportRequest>

const {
  firstBoot: _firstBoot,
  makeRoom: _makeRoom,
  profiles: _profiles,
  start: _start,
  ...described
} = LaunchRequest.properties

export const ContainerImportRequest = Type.Object(
  {
    container: Type.Object(described, { additionalProperties: false, description: 'as a launch says it' }),
    disk: Type.Object(
      {
        upload: UploadId,
        host: Name,
        sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        uidBase: Type.Integer({ minimum: 0, maximum: 2 ** 31, description: 'to which the owners of its files belong' }),
        name: Type.Optional(Name),
      },
      { additionalProperties: false, description: 'a tar of the writable layer that was sent to the host' },
    ),
    start: Type.Optional(Type.Boolean({ description: 'default: true' })),
  },
  { additionalProperties: false },
)
export type ContainerImportRequest = Static<typeof ContainerImportRequest>
