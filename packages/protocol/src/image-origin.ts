// Where an image came from, as far as it can be had from there again: `drover image refresh` does so. What is fetched is fetched by
// whoever runs the command, as the import was; hosts fetch nothing from outside the cluster but what a recipe needs.

import { type Static, Type } from '@drover/schema'
import { namePattern } from './names.ts'
import { Nullable } from './nullable.ts'

/** What somebody says of an image: os, release, description, … */
export const ImageProperties = Type.Record(
  Type.String({ pattern: '^[a-z0-9_.-]{1,64}$' }),
  Type.String({ maxLength: 1024 }),
  { additionalProperties: false, maxProperties: 64 },
)
export type ImageProperties = Static<typeof ImageProperties>

const path = Type.String({ pattern: '^/[^\\u0000]*$', maxLength: 4096 })
const strict = { additionalProperties: false }

/** Of an archive that was sent. */
export const ArchiveOrigin = Type.Union([
  Type.Object(
    {
      kind: Type.Literal('file'),
      path: Type.String({ ...path, description: 'where the command ran' }),
      rootfs: Nullable(path),
    },
    strict,
  ),
  Type.Object(
    {
      kind: Type.Literal('url'),
      url: Type.String({ pattern: '^https?://[^\\s]+$', maxLength: 2048 }),
      etag: Nullable(Type.String({ maxLength: 1024, description: 'as the server names what it sent' })),
      modified: Nullable(Type.String({ maxLength: 128, description: 'its Last-Modified' })),
    },
    strict,
  ),
])
export type ArchiveOrigin = Static<typeof ArchiveOrigin>

/** Said of it by hand, beside what it says of itself: kept by a refresh. */
const said = Type.Optional(ImageProperties)
const init = Nullable(Type.Array(Type.String()))

export const ImageOrigin = Type.Union([
  Type.Object({ kind: Type.Literal('recipe'), recipe: Type.String(), said }, strict),
  Type.Object(
    {
      kind: Type.Literal('container'),
      container: Type.String(),
      snapshot: Nullable(Type.String({ pattern: namePattern })),
      said,
    },
    strict,
  ),
  Type.Object(
    {
      kind: Type.Literal('archive'),
      from: ArchiveOrigin,
      sha256: Type.String({ description: 'of all that was sent' }),
      init,
      said,
    },
    strict,
  ),
])
export type ImageOrigin = Static<typeof ImageOrigin>
