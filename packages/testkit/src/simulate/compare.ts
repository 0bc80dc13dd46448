// Several replays of one trace, next to each other.

import { isDrovers, type PolicyName } from './placer.ts'
import { type ReplayResult, replay } from './replay.ts'
import { GiB, lowerBound, type Trace } from './trace.ts'

export interface ComparisonOptions {
  /** Null: 5 % more than the bound. */
  hosts: number | null
  policies: readonly PolicyName[]
  consolidate: boolean
  rebalance: boolean
  overcommit: number | null
  hostCores: number | null
  hostGib: number | null
  seed: number
  onProgress?: (line: string) => void
}

export interface Comparison {
  trace: { name: string; workloads: number; days: number }
  hosts: number
  /** The fewest hosts that could hold all that is there at the busiest moment. */
  bound: number
  runs: { label: string; seconds: number; result: ReplayResult }[]
}

/** Room for what no packing avoids, when nobody says how many hosts there are. */
const headroom = 1.05

export function compare(trace: Trace, options: ComparisonOptions): Comparison {
  const host = {
    cpuMilli: options.hostCores === null ? trace.host.cpuMilli : 1000 * options.hostCores,
    memoryBytes: options.hostGib === null ? trace.host.memoryBytes : GiB * options.hostGib,
  }
  const overcommit = options.overcommit ?? trace.overcommit
  const bound = lowerBound(trace, { ...host, cpuMilli: host.cpuMilli * overcommit })
  const hosts = options.hosts ?? Math.ceil(headroom * bound)
  const variants = options.policies.flatMap((policy) => {
    const own = isDrovers(policy)
    const rebalance = options.rebalance && own && trace.workloads.some(({ loads }) => loads !== null)
    const plain = { policy, hosts, host, overcommit, rebalance, seed: options.seed, consolidate: false }
    // A pool that balances or spreads would fill at once what was emptied.
    if (!options.consolidate || !policy.startsWith('pack')) return [plain]
    const emptying = { ...plain, consolidate: true }
    return options.policies.length === 1 ? [emptying] : [plain, emptying]
  })
  const runs = variants.map((settings) => {
    const label = settings.policy + (settings.consolidate ? ' + consolidate' : '')
    options.onProgress?.(`${label} …`)
    const begin = process.hrtime.bigint()
    const result = replay(trace, settings)
    const seconds = Number(process.hrtime.bigint() - begin) / 1e9
    return { label, seconds, result }
  })
  const days = Number((trace.spanS / 86_400).toFixed(2))
  return { trace: { name: trace.name, workloads: trace.workloads.length, days }, hosts, bound, runs }
}

const rows: [key: string, title: string][] = [
  ['hosts_mean', 'hosts in use, mean'],
  ['hosts_needed_mean', 'a perfect packing, mean'],
  ['hosts_max', 'hosts in use, most'],
  ['empty_share', 'share of hosts empty'],
  ['fragmentation', 'fragmentation'],
  ['refusals', 'refusals'],
  ['imbalance', 'imbalance'],
  ['overload_minutes', 'overload, host-minutes'],
  ['moves', 'moves'],
  ['moves_per_container_day', 'moves per container-day'],
]

/** For a person. */
export function comparisonTable({ trace, hosts, bound, runs }: Comparison): string {
  const head = ['', ...runs.map(({ label }) => label)]
  const body = rows.map(([key, title]) => [title, ...runs.map(({ result }) => String(result.figures[key]))])
  const table = [head, ...body, ['seconds', ...runs.map(({ seconds }) => seconds.toFixed(1))]]
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  const lines = table.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  )
  const title = `${trace.name}: ${trace.workloads} workloads in ${trace.days} days on ${hosts} hosts (the fewest possible: ${bound})`
  return `${title}\n\n${lines.join('\n')}\n`
}
