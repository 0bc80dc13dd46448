// Containers on hosts for the tests of moves: by hand with defaults, and the snapshot that counts them.

import type { ClusterSnapshot, ContainerSnapshot, HostSnapshot } from '@drover/scheduler'
import { demand, GiB, host, MiB } from '../cluster.ts'

/** Uses what it requests unless told otherwise. */
export function container(
  name: string,
  on: string,
  { cpuMilli = 100, memoryBytes = 64 * MiB, ...change }: Partial<ContainerSnapshot> & Amounts = {},
): ContainerSnapshot {
  const requests = { cpuMilli, memoryBytes, diskBytes: 0, pids: 10 }
  return {
    host: on,
    movable: true,
    use: null,
    residentBytes: 32 * MiB,
    diskBytes: MiB,
    dirtyBytesPerS: 0,
    ...change,
    demand: demand({ name, requests, live: true, ...change.demand }),
  }
}

interface Amounts {
  cpuMilli?: number
  memoryBytes?: number
}

/** Hosts of 4 cores and 4 GiB; their sums are the containers'. */
export function cluster(
  names: readonly string[],
  containers: readonly ContainerSnapshot[],
  change: Readonly<Record<string, Partial<HostSnapshot>>> = {},
): ClusterSnapshot {
  const hosts = names.map((name) => {
    const here = containers.filter((each) => each.host === name)
    const sum = (key: 'cpuMilli' | 'memoryBytes' | 'diskBytes' | 'pids') =>
      here.reduce((total, { demand }) => total + demand.requests[key], 0)
    const groups: Record<string, number> = {}
    for (const { demand } of here) if (demand.group) groups[demand.group.name] = (groups[demand.group.name] ?? 0) + 1
    return host(name, {
      capacity: { cpuMilli: 4000, memoryBytes: 4 * GiB, diskBytes: 100 * GiB, pids: 100_000 },
      requested: { cpuMilli: sum('cpuMilli'), memoryBytes: sum('memoryBytes'), diskBytes: 0, pids: sum('pids') },
      containers: here.length,
      groups,
      ...change[name],
    })
  })
  return { hosts }
}

/** The containers as they are once `moves` are made. */
export function moved(
  containers: readonly ContainerSnapshot[],
  moves: readonly { container: string; to: string }[],
): ContainerSnapshot[] {
  const where = new Map(moves.map(({ container, to }) => [container, to]))
  return containers.map((each) => ({ ...each, host: where.get(each.demand.name) ?? each.host }))
}
