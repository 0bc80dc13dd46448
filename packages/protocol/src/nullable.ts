// A value that may be absent is null on every wire, never a missing field.

import { type TSchema, Type } from '@drover/schema'

export const Nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
