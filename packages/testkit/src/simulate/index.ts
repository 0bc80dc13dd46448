// The cluster simulator, for the benchmarks that compare policies.

export { type Comparison, type ComparisonOptions, compare, comparisonTable } from './compare.ts'
export { type PolicyName, peerPolicies } from './placer.ts'
export { plot } from './plot.ts'
export { generator } from './random.ts'
export { type ReplayResult, replay } from './replay.ts'
export type { ReplaySettings } from './settings.ts'
export { lowerBound, type Trace, type Workload } from './trace.ts'
export { generatedTrace } from './traces/generated.ts'
export { openTrace } from './traces/open-trace.ts'
