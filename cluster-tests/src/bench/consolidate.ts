// Days of a trace on a simulated cluster, in one run: drover's policies with and without emptying hosts and evening loads,
// next to first, best and worst fit. `--trace` takes Azure flavours (lifetimes), PlanetLab loads or openb pods.

import {
  type Comparison,
  compare,
  comparisonTable,
  openTrace,
  type PolicyName,
  peerPolicies,
} from '@drover/testkit/simulate'
import type { Bench, BenchOptions, BenchOutcome } from './bench.ts'

export const consolidateBench: Bench = {
  summary: 'share of empty hosts, refusals, overload and moves over days of a trace',
  // Days, of traces that can be made as long as wanted; others are replayed as far as they go.
  defaultN: 4,
  needsRoot: false,
  run: async ({ n, seed, trace: path, onProgress }: BenchOptions): Promise<BenchOutcome> => {
    const trace = openTrace({ path, days: n, seed, stay: false })
    const sized = { hosts: null, overcommit: null, hostCores: null, hostGib: null, seed, onProgress }
    const leaves = trace.workloads.some(({ leaveS }) => Number.isFinite(leaveS))
    const loaded = trace.workloads.some(({ loads }) => loads !== null)
    const managing: PolicyName[] = loaded ? ['pack', 'balance'] : ['pack', 'pack-mix']
    const managed = compare(trace, { ...sized, policies: managing, consolidate: leaves, rebalance: true })
    const plain = compare(trace, {
      ...sized,
      // Without loads the policies of the first comparison were not rebalanced either.
      policies: loaded ? [...managing, ...peerPolicies] : peerPolicies,
      consolidate: false,
      rebalance: false,
    })
    const runs = [
      ...managed.runs.map((run) => (loaded ? { ...run, label: `${run.label} + rebalance` } : run)),
      ...plain.runs,
    ]
    const figures: Record<string, number> = { hosts: managed.hosts, bound: managed.bound, n: trace.workloads.length }
    for (const run of runs) for (const key of shown) figures[`${key}_${keyOf(run)}`] = run.result.figures[key]!
    return { figures, notes: [comparisonTable({ ...managed, runs })] }
  },
}

const shown = [
  'hosts_mean',
  'empty_share',
  'refusals',
  'fragmentation',
  'imbalance',
  'overload_minutes',
  'moves_per_container_day',
] as const

const keyOf = ({ label }: Comparison['runs'][number]): string => label.replaceAll(/[^a-z]+/g, '_')
