// Reads and checks the agent's configuration file (AgentConfig of @drover/protocol). A bad file is refused with the field
// and the rule that it breaks, before anything is touched.

import { readFileSync } from 'node:fs'
import { AgentConfig, DroverError } from '@drover/protocol'
import { Compile } from '@drover/schema'
import { describeViolation } from './describe-violation.ts'

const validator = Compile(AgentConfig)

export function loadConfig(path: string): AgentConfig {
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', `read configuration ${path}: ${(cause as Error).message}`, { cause })
  }
  if (validator.Check(value)) return value
  throw new DroverError('BAD_REQUEST', `configuration ${path}: ${describeViolation(validator, value)}`)
}
