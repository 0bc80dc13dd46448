// The entries about whole disks of containers: fresh ones, and such as go out and come in.

import { ContainerImportRequest, ContainerSpec, Name, uploadPattern } from '@drover/protocol'
import { Type } from '@drover/schema'
import { entry, launchProperties, OperationId } from './entry-parts.ts'

/** A fresh disk for a container that stays what it is. */
export const RebuildRequested = entry('RebuildRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  image: Type.Pick(ContainerSpec, ['image', 'imageName', 'init']),
  force: Type.Boolean(),
})
/** The disk of one container, or of a snapshot of it, for another that is there and off. */
export const CopyRefreshed = entry('CopyRefreshed', {
  operation: OperationId,
  container: Type.String({ description: 'name of the one that is copied' }),
  snapshot: Type.Union([Name, Type.Null()]),
  name: Type.String({ description: 'of the one that gets its disk' }),
})
/** Its owner shall write its disk, or that of a snapshot, into this file of its host. */
export const ExportRequested = entry('ExportRequested', {
  operation: OperationId,
  container: Type.String({ description: 'name' }),
  snapshot: Type.Union([Name, Type.Null()]),
  upload: Type.String({ pattern: uploadPattern }),
})
/** A new container with the disk that was sent to a host. */
export const ContainerImported = entry('ContainerImported', {
  operation: OperationId,
  ...launchProperties,
  start: Type.Boolean(),
  disk: ContainerImportRequest.properties.disk,
})
