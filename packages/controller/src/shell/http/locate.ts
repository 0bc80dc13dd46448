// Where a container runs now, for the streams that any controller serves: as the leader knows it, else as we do. One that stands still between
// two hosts is waited for: the one answers no more, the other not yet.

import { type Container, DroverError, type Operation, paths } from '@drover/protocol'
import { containerByName } from '../../core/state.ts'
import type { ControllerContext } from '../context.ts'
import { readFromLeader } from './forward.ts'
import { noContainer } from './route.ts'

export interface Location {
  id: string
  host: string
  /** Of the agent's gRPC service. */
  address: string
}

const switchDeadlineMs = 60_000
const askAgainMs = 20
/** On which one container is looked for, should it move again and again. */
export const mostHosts = 5

/** @throws CONTAINER_NOT_FOUND; HOST_UNREACHABLE; what the leader answers */
export async function locate(context: ControllerContext, name: string): Promise<Location> {
  const deadlineMs = performance.now() + switchDeadlineMs
  let container = await current(context, name)
  while ((await switches(context, container)) && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, askAgainMs))
    container = await current(context, name)
  }
  const { state } = context.machine
  const host = state.tables.hosts.get(container.host)
  if (!host || state.tables.silences.has(container.host)) {
    throw new DroverError('HOST_UNREACHABLE', `reach ${name}: its host ${container.host} is silent`)
  }
  return { id: container.id, host: host.name, address: `${host.address}:${host.grpcPort}` }
}

/** The agent that was asked has done nothing, as the container had just left its host: ask where it is now. */
export const hasLeft = (error: unknown): error is DroverError =>
  error instanceof DroverError && error.code === 'BUSY' && error.context.left === true

async function current(
  context: ControllerContext,
  name: string,
): Promise<Pick<Container, 'id' | 'host' | 'operation'>> {
  const asked = (await fromLeader(context, paths.container(encodeURIComponent(name)))) as Container | null
  const container = asked ?? containerByName(context.machine.state, name)
  if (!container) throw noContainer(name)
  return container
}

async function switches(context: ControllerContext, { operation }: Pick<Container, 'operation'>): Promise<boolean> {
  if (operation === null) return false
  const asked = (await fromLeader(context, paths.operation(operation))) as Operation | null
  const known = asked ?? context.machine.state.tables.operations.get(operation)
  return known?.migration?.phase === 'switching'
}

/** Null here on the leader, and without one. */
async function fromLeader(context: ControllerContext, path: string): Promise<unknown> {
  return context.log.status().role === 'leader' ? null : readFromLeader(context, path)
}
