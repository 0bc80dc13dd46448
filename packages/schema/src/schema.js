// What drover uses of TypeBox. Bootstrap bundles it into build/schema.js; the types are in schema.d.ts.

export { Type } from 'typebox'
export { Compile } from 'typebox/compile'
export { Value } from 'typebox/value'
