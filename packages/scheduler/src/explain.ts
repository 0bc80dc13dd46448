// The sentences that `drover explain` and `drover info` print: amounts as a person writes them, why a host was chosen, and
// what stood in the way when none was. Programs match on the refusals' names, never on these words.

import type { Refusal, RefusalName } from './feasible.ts'
import type { Ranked } from './rank.ts'
import type { ResourceName } from './resource-vector.ts'
import type { Demand, PoolPolicy } from './snapshot.ts'

export const resourceNames: Record<ResourceName, string> = {
  cpuMilli: 'cpu',
  memoryBytes: 'memory',
  diskBytes: 'disk',
  pids: 'pids',
  inotifyWatches: 'inotify watches',
  keyrings: 'keyrings',
  ptys: 'ptys',
  neighbourEntries: 'neighbour entries',
  bridgePorts: 'bridge ports',
  measuredMemoryBytes: 'measured memory',
  measuredCpuMilli: 'measured cpu',
}

/** An amount of a resource with its unit, e.g. `64 MiB`, `0.5 cores`. */
export function describeAmount(resource: ResourceName, value: number): string {
  if (resource.endsWith('Bytes')) return describeBytes(value)
  if (!resource.endsWith('puMilli')) return String(value)
  return `${Number((value / 1000).toFixed(3))} ${value === 1000 ? 'core' : 'cores'}`
}

/** One sentence: why the first of `ranked` was taken. */
export function explainChoice(ranked: readonly Ranked[], demand: Demand, pool: PoolPolicy): string {
  const [best, second] = ranked
  if (!best) throw new Error('explainChoice: no host was ranked')
  const fill = `${resourceNames[best.dominant]} ${percent(best.share)} after placing`
  const image = best.hasImage ? 'image is there' : 'image has to be fetched'
  return `${advantage(best, second, demand, pool)}: ${fill}; ${image}`
}

/** One sentence: why no host can take it. */
export function explainRefusals(refusals: readonly Refusal[], demand: Demand): string {
  if (refusals.length === 0) return `no host can take ${demand.name}: no host has joined the cluster`
  const counts = new Map<RefusalName, number>()
  for (const { name } of refusals) counts.set(name, (counts.get(name) ?? 0) + 1)
  const causes = [...counts].map(([name, count]) => `${count} ${refusalPhrases[name]}`)
  return `no host can take ${demand.name}: ${causes.join(', ')}`
}

function advantage(best: Ranked, second: Ranked | undefined, demand: Demand, pool: PoolPolicy): string {
  if (demand.host !== null) return 'the host that was asked for'
  if (!second) return 'the only host that fits'
  if (best.penalty < second.penalty) return preference(best, second, demand)
  if (best.score > second.score) return policyPhrase(best, pool)
  if (best.hasImage !== second.hasImage) return 'as full as others, and it has the image'
  if (best.host.containers !== second.host.containers) return 'as full as others, with fewer containers'
  return 'as good as others, drawn by lot'
}

function preference(best: Ranked, second: Ranked, demand: Demand): string {
  const group = demand.group
  if (!group || Math.floor(best.penalty / 1e6) < Math.floor(second.penalty / 1e6)) return avoidedBy(second, demand)
  const apart = group.kind === 'spread'
  return `its ${group.topology} has ${apart ? 'the fewest' : 'the most'} of group ${group.name}`
}

/** What the second best has that the best hasn't. */
function avoidedBy({ host }: Ranked, { constraints }: Demand): string {
  return constraints?.sizedDisk && host.holdsDisks === false
    ? 'it holds the size of its disk'
    : 'it has no taint to avoid'
}

function policyPhrase(best: Ranked, pool: PoolPolicy): string {
  if (pool.policy === 'balance') return 'least full host that fits'
  if (pool.policy === 'spread') return 'host with the fewest containers'
  if (!pool.fill) return 'fullest host that fits'
  return best.host.containers === 0
    ? 'opens an empty host, as it would leave a bad hole elsewhere'
    : 'leaves the best hole'
}

const refusalPhrases: Record<RefusalName, string> = {
  NOT_THE_REQUESTED_HOST: 'not the host that was asked for',
  HOST_EXCLUDED: 'excluded',
  HOST_NOT_READY: 'not ready',
  HOST_CORDONED: 'cordoned',
  HOST_NOT_MIGRATABLE: 'without a usable CRIU',
  INSUFFICIENT_MEMORY: 'short of memory',
  INSUFFICIENT_CPU: 'short of cpu',
  INSUFFICIENT_DISK: 'short of disk',
  INSUFFICIENT_PIDS: 'short of pids',
  INSUFFICIENT_INOTIFY_WATCHES: 'short of inotify watches',
  INSUFFICIENT_KEYRINGS: 'short of keyrings',
  INSUFFICIENT_PTYS: 'short of ptys',
  INSUFFICIENT_NEIGHBOUR_ENTRIES: 'short of neighbour entries',
  INSUFFICIENT_BRIDGE_PORTS: 'short of bridge ports',
  MEASURED_MEMORY: 'using too much memory',
  MEASURED_CPU: 'using too much cpu',
  PROJECT_QUOTA: 'closed by the project’s quota',
  OTHER_POOL: 'of another pool',
  NOT_PINNED_HERE: 'not among those it is pinned to',
  WRONG_ARCHITECTURE: 'of another architecture',
  MISSING_CPU_FEATURE: 'without a CPU feature',
  MISSING_KERNEL_FEATURE: 'without a kernel feature',
  MISSING_CRIU_FEATURE: 'without a CRIU feature',
  LABEL_MISMATCH: 'without the label',
  TAINTED: 'tainted',
  MISSING_DEVICE: 'without a free device',
  ADDRESS_IN_USE: 'with a container that listens at its address',
  GROUP_SPREAD: 'too near to others of the group',
  GROUP_PACK: 'away from the group',
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

function describeBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < byteUnits.length - 1) {
    value /= 1024
    unit++
  }
  return `${Number(value.toFixed(value < 10 ? 1 : 0))} ${byteUnits[unit]}`
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}
