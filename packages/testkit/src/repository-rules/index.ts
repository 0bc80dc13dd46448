// The rules of the house that a program can check, each a function from files to violations.

export * from './imports.ts'
export * from './named-tests.ts'
export * from './purity.ts'
export * from './shape.ts'
export * from './source-file.ts'
