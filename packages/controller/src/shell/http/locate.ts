// Where a container runs now, for the streams that any controller serves: as the leader knows it, else as we do.

import { type Container, DroverError, paths } from '@drover/protocol'
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

export async function locate(context: ControllerContext, name: string): Promise<Location> {
  const { state } = context.machine
  const leads = context.log.status().role === 'leader'
  const asked = leads
    ? null
    : ((await readFromLeader(context, paths.container(encodeURIComponent(name)))) as Container | null)
  const container = asked ?? containerByName(state, name)
  if (!container) throw noContainer(name)
  const host = state.tables.hosts.get(container.host)
  if (!host || state.tables.silences.has(container.host)) {
    throw new DroverError('HOST_UNREACHABLE', `reach ${name}: its host ${container.host} is silent`)
  }
  return { id: container.id, host: host.name, address: `${host.address}:${host.grpcPort}` }
}
