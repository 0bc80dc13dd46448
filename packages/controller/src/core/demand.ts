// What a container asks of a host, from its spec: the same for launch, move, evacuation and every planner of moves.

import { type ContainerSpec, listensOf, type Scheduling } from '@drover/protocol'
import type { Constraints, Demand } from '@drover/scheduler'
import { limitsOfContainer } from './host-amounts.ts'

export interface DemandFacts {
  /** Only this host; null: any. */
  host: string | null
  excluded: Iterable<string>
  live: boolean
}

export function demandOf(
  {
    name,
    spec,
  }: {
    name: string
    spec: Pick<ContainerSpec, 'requests' | 'image' | 'scheduling' | 'security' | 'limits' | 'devices'>
  },
  { host, excluded, live }: DemandFacts,
): Demand {
  const { group, project, priority } = spec.scheduling ?? {}
  const constraints = constraintsOf(spec.scheduling, spec.limits?.diskBytes != null)
  const listens = listensOf(spec.devices)
  return {
    name,
    requests: spec.requests,
    image: spec.image,
    host,
    excluded: new Set(excluded),
    live,
    limits: limitsOfContainer,
    ...(constraints === null ? {} : { constraints }),
    ...(listens.length === 0 ? {} : { listens }),
    ...(group === undefined ? {} : { group }),
    ...(project === undefined ? {} : { project }),
    ...(priority === undefined ? {} : { priority }),
    ...(spec.security?.privileged ? { privileged: true } : {}),
  }
}

function constraintsOf(scheduling: Scheduling = {}, sizedDisk: boolean): Constraints | null {
  const { pool, require, architecture, hosts, tolerate, cpuFeatures, kernelFeatures, criuFeatures, claim } = scheduling
  const constraints: Constraints = {
    ...(pool === undefined ? {} : { pool }),
    ...(require === undefined ? {} : { labels: require }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(cpuFeatures === undefined ? {} : { cpuFeatures }),
    ...(kernelFeatures === undefined ? {} : { kernelFeatures }),
    ...(criuFeatures === undefined ? {} : { criuFeatures }),
    ...(claim === undefined ? {} : { devices: claim }),
    ...(sizedDisk ? { sizedDisk } : {}),
    ...(hosts === undefined ? {} : { hosts }),
    ...(tolerate === undefined ? {} : { tolerations: tolerate }),
  }
  return Object.keys(constraints).length === 0 ? null : constraints
}
