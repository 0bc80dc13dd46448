// The drover command as a library: for tests, the reference generator and the laboratory.

export { main } from './main.ts'
export { createProgram, pathOf, withDescendants } from './program.ts'
export { renderReference } from './reference.ts'
export { processTerminal, type Terminal } from './terminal.ts'
