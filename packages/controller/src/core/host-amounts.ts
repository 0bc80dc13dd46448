// What a container takes of its host beside its requests: one of each of the things that the kernel gives a host so many of, and the
// devices that it claims of those which the host is said to have, and the addresses that it listens at.

import { type ContainerSpec, type Host, listensOf } from '@drover/protocol'
import type { DensityAmounts, HostSnapshot } from '@drover/scheduler'
import { arrivingHost } from './capacity.ts'
import type { ClusterState } from './state.ts'

/** A port of the bridge for its link, and an entry in the host's table of neighbours for its address. */
export const limitsOfContainer: Partial<DensityAmounts> = { bridgePorts: 1, neighbourEntries: 1 }

/** What of a container's spec takes something. */
export type Taking = Pick<ContainerSpec, 'scheduling' | 'devices'>

export interface TakenAmounts {
  containers: number
  devices: Record<string, number>
  listens: Record<string, number>
}

/** Host → what is taken, by those that are there or on their way there; `without` counts nowhere. */
export function takenAmounts(
  state: ClusterState,
  pending: readonly ({ host: string } & Taking)[],
  without: string | undefined,
): Map<string, TakenAmounts> {
  const byHost = new Map<string, TakenAmounts>()
  const count = (host: string, { scheduling, devices }: Taking) => {
    const taken = byHost.get(host) ?? { containers: 0, devices: {}, listens: {} }
    taken.containers += 1
    for (const [kind, number] of Object.entries(scheduling?.claim ?? {}))
      taken.devices[kind] = (taken.devices[kind] ?? 0) + number
    for (const address of listensOf(devices)) taken.listens[address] = (taken.listens[address] ?? 0) + 1
    byHost.set(host, taken)
  }
  for (const { id, host, spec, operation, preempted } of state.tables.containers.values()) {
    if (id === without) continue
    if (preempted === undefined) count(host, spec)
    const arriving = arrivingHost(state, operation)
    if (arriving !== null) count(arriving, spec)
  }
  for (const each of pending) count(each.host, each)
  return byHost
}

/** As the scheduler wants it. */
export function amountsOf(
  { features, deviceCounts }: Host,
  taken: TakenAmounts = { containers: 0, devices: {}, listens: {} },
): Pick<HostSnapshot, 'limits' | 'limitsRequested' | 'devices' | 'listens' | 'holdsDisks'> {
  const free = Object.entries(deviceCounts ?? {}).map(([kind, has]) => [kind, has - (taken.devices[kind] ?? 0)])
  return {
    ...(features.limits === undefined ? {} : { limits: features.limits }),
    limitsRequested: { bridgePorts: taken.containers, neighbourEntries: taken.containers },
    ...(Object.keys(taken.listens).length === 0 ? {} : { listens: taken.listens }),
    ...(features.diskLimits === false ? { holdsDisks: false } : {}),
    ...(deviceCounts === undefined ? {} : { devices: Object.fromEntries(free) }),
  }
}

type NamedFeatures = Pick<HostSnapshot, 'cpuFeatures' | 'kernelFeatures' | 'criuFeatures'>
/** A snapshot is made for each placement, and features seldom change. */
const known = new WeakMap<Host['features'], NamedFeatures>()

/** What a container may ask its host's processor, kernel and CRIU for, by name. */
export function featuresOf({ features }: Host): NamedFeatures {
  let named = known.get(features)
  if (!named) {
    const { cpuFlags, cgroup, criu } = features
    named = {
      cpuFeatures: new Set(cpuFlags ?? []),
      kernelFeatures: new Set(cgroup === 'none' ? [] : [`cgroup-${cgroup}`]),
      criuFeatures: new Set(criu.usable ? ['live', ...(criu.version === null ? [] : [`criu-${criu.version}`])] : []),
    }
    known.set(features, named)
  }
  return named
}
