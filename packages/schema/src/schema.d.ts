// The types of schema.js: those of TypeBox.

export { type Static, type TLiteral, type TProperties, type TSchema, Type } from 'typebox'
export { Compile, type Validator } from 'typebox/compile'
export { Value } from 'typebox/value'
