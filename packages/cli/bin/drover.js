#!/usr/bin/env node
// The installed command: everything is in src/main.ts.

import { main } from '../dist/main.js'
import { processTerminal } from '../dist/terminal.js'

process.exitCode = await main(process.argv.slice(2), processTerminal())
// A terminal's input, once it was read, would keep the process alive.
process.stdin.unref?.()
