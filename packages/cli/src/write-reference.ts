// Writes docs/cli.md: `node packages/cli/dist/write-reference.js`.

import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { renderReference } from './reference.ts'
import { processTerminal } from './terminal.ts'

writeFileSync(fileURLToPath(new URL('../../../docs/cli.md', import.meta.url)), await renderReference(processTerminal()))
