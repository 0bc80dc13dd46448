// The agent's answer to one question about a container's inside (protocol/inside.ts): checked, and passed to the engine, which has a
// method of the same name for each.

import type { EngineMethods } from '@drover/engine'
import { DroverError, type InsideCall, type InsideMethod, insideMethods } from '@drover/protocol'
import { Compile, Type } from '@drover/schema'
import { describeViolation } from './describe-violation.ts'
import { type EnginePort, engineDeadlines } from './engine-port.ts'

const callValidator = Compile(
  Type.Object({
    container: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }),
    method: Type.Union(Object.keys(insideMethods).map((name) => Type.Literal(name))),
    params: Type.Record(Type.String(), Type.Unknown()),
  }),
)
const paramsValidators = Object.fromEntries(
  Object.entries(insideMethods).map(([name, { params }]) => [name, Compile(params)]),
)

export async function answerInside(payload: Uint8Array, engine: EnginePort): Promise<unknown> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload).toString())
  } catch (cause) {
    throw new DroverError('BAD_REQUEST', 'question about a container: not JSON', { cause })
  }
  if (!callValidator.Check(value)) {
    throw new DroverError('BAD_REQUEST', `question about a container: ${describeViolation(callValidator, value)}`)
  }
  const { container, method, params } = value as InsideCall
  const validator = paramsValidators[method]
  if (!validator?.Check(params)) {
    throw new DroverError('BAD_REQUEST', `${method}: ${validator ? describeViolation(validator, params) : 'unknown'}`)
  }
  const asked = { ...params, container } as EngineMethods[InsideMethod]['params']
  return engine.call(method, asked, { deadlineMs: engineDeadlines.quick })
}
