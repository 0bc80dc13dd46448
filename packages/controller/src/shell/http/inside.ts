// POST /v1/containers/:name/inside/:method: one question about the inside of a container, answered by the agent of its host. Any
// controller serves it; nothing of it is in the committed state.

import {
  DroverError,
  decodeMessage,
  encodeMessage,
  FrameType,
  type InsideCall,
  type InsideMethod,
  insideMethods,
} from '@drover/protocol'
import type { ServiceError } from '@grpc/grpc-js'
import type { FastifyInstance } from 'fastify'
import { type AgentStreams, callError } from '../agent-streams.ts'
import type { ControllerContext } from '../context.ts'
import { hasLeft, locate, mostHosts } from './locate.ts'
import { NameParams } from './route.ts'

export function insideRoutes(app: FastifyInstance, context: ControllerContext, agents: AgentStreams): void {
  for (const [method, { summary, params, result }] of Object.entries(insideMethods)) {
    const schema = { summary, params: NameParams, body: params, response: { 200: result } }
    const options = { schema }
    app.post(`/v1/containers/:name/inside/${method}`, options, async (request) => {
      const { name } = request.params as { name: string }
      return askInside(context, agents, name, method as InsideMethod, request.body as Record<string, unknown>)
    })
  }
}

export async function askInside(
  context: ControllerContext,
  agents: AgentStreams,
  name: string,
  method: InsideMethod,
  params: Record<string, unknown>,
): Promise<unknown> {
  for (let asked = 1; ; asked++) {
    const { id, host, address } = await locate(context, name)
    const call: InsideCall = { container: id, method, params }
    try {
      return await ask(agents, address, call, `${method} in ${name}`, host)
    } catch (thrown) {
      if (!hasLeft(thrown) || asked === mostHosts) throw thrown
    }
  }
}

async function ask(agents: AgentStreams, address: string, call: InsideCall, doing: string, host: string) {
  const message = encodeMessage(FrameType.json, JSON.stringify(call))
  const answer = await agents.inside(address, message).catch((thrown: ServiceError) => {
    throw callError(thrown, doing, host)
  })
  const { type, payload } = decodeMessage(answer)
  const value: unknown = JSON.parse(Buffer.from(payload).toString())
  if (type === FrameType.error) throw DroverError.fromJSON(value)
  return value
}
