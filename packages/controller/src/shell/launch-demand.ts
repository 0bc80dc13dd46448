// What a launch would ask of a host, before it is one: for `explain --spec`, and for planning several together.

import { defaultImageName, type ExplainRequest } from '@drover/protocol'
import type { Demand } from '@drover/scheduler'
import { demandOf } from '../core/demand.ts'
import { launchWithProfiles } from '../core/profiles.ts'
import type { ClusterState } from '../core/state.ts'
import { requestsOf } from './launch-spec.ts'

export function demandOfLaunch(state: ClusterState, asked: ExplainRequest): Demand {
  const { request } = launchWithProfiles(state, asked)
  const image = state.tables.images.get(request.image ?? defaultImageName)
  const spec = {
    requests: requestsOf(request),
    // An image that isn't there yet is on no host: it costs no host anything.
    image: image?.digest ?? '',
    ...(request.scheduling === undefined ? {} : { scheduling: request.scheduling }),
    ...(request.security === undefined ? {} : { security: request.security }),
  }
  const name = request.name ?? 'new'
  return demandOf({ name, spec }, { host: request.host ?? null, excluded: [], live: false })
}
