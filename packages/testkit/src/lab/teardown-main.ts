// The program that the guardian runs when a laboratory's owner died: takes down what the given state file names.

import { readState } from './state-file.ts'
import { teardown } from './teardown.ts'

const state = readState(process.argv[2] ?? '')
if (state !== null) await teardown(state)
