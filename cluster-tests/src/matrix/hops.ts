// `npm run matrix -- --hops N`: one Debian + systemd container with an open TCP connection is moved a→b→c→a…, N times, and after each move
// everything is counted that could grow: on the hosts, in the daemons, in the container, and the time that the move took.

import type { DroverClient } from '@drover/client'
import { DroverError } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import { maximum, median, rounded } from '../figures.ts'
import { tracesLeft } from '../traces.ts'
import { Witness } from '../witness.ts'
import { type Census, takeCensus } from './host-census.ts'
import { WorkloadContainer } from './workloads/workload-container.ts'
import { workloadImage } from './workloads/workload-layer.ts'

const name = 'hopper'
const launchDeadlineMs = 240_000
const moveDeadlineMs = 180_000
/** First visits, when a host fetches the image: they must go well, but are not measured. */
const warmUps = 3

export interface Growth {
  what: string
  /** Medians over the first and the last quarter of the hops. */
  first: number
  last: number
  most: number
  /** Slope of the line of least squares. */
  perHop: number
  /** The same over the last half alone: what only warms up (compiled code, caches, the allocator) is flat there, a leak is not. */
  perHopLate: number
}

export interface HopsResult {
  hops: number
  failures: string[]
  growth: Growth[]
}

export async function runHops(
  lab: Lab,
  client: DroverClient,
  hops: number,
  onProgress: (line: string) => void,
): Promise<HopsResult> {
  const launched = await client.launch({ name, image: workloadImage, memoryBytes: 512 << 20 })
  const { state, error } = await client.waitOperation(launched.id, { deadlineMs: launchDeadlineMs })
  if (state !== 'done') throw new DroverError('INTERNAL', `launch: ${error?.message ?? state}`)
  let container = await client.container(name)
  await new WorkloadContainer(lab, client, container).booted()
  const witness = await Witness.of(lab, container)
  const failures: string[] = []
  const taken: Census[] = []
  for (let hop = 1 - warmUps; hop <= hops; hop++) {
    const from = container.host
    const to = lab.hosts[(lab.hosts.findIndex((host) => host.name === from) + 1) % lab.hosts.length]?.name as string
    witness.mark()
    const begun = performance.now()
    const operation = await client.waitOperation((await client.move(name, { host: to })).id, {
      deadlineMs: moveDeadlineMs,
    })
    const tookMs = performance.now() - begun
    if (operation.state !== 'done') failures.push(`hop ${hop}: ${operation.error?.message ?? operation.state}`)
    container = await client.container(name)
    const verdict = await witness.verdict(container)
    if (!verdict.unbroken) failures.push(`hop ${hop}: ${verdict.detail}`)
    const left = await tracesLeft(lab, [from], container)
    if (operation.state === 'done' && left.length > 0) failures.push(`hop ${hop}: left behind: ${left.join(', ')}`)
    if (hop <= 0) continue
    const census = await takeCensus(lab, container)
    taken.push({ ...census, move_ms: tookMs, blackout_ms: verdict.blackoutMs ?? 0 })
    onProgress(`hop ${hop} of ${hops}, ${from} → ${to}: ${Math.round(tookMs)} ms, ${failures.length} failures`)
  }
  witness.close()
  return { hops, failures, growth: growthOf(taken) }
}

export function growthOf(taken: Census[]): Growth[] {
  const quarter = Math.max(1, Math.floor(taken.length / 4))
  const keys = Object.keys(taken[0] ?? {})
  return keys.map((what) => {
    const values = taken.map((census) => census[what] ?? 0)
    return {
      what,
      first: median(values.slice(0, quarter)),
      last: median(values.slice(-quarter)),
      most: maximum(values),
      perHop: slope(values),
      perHopLate: slope(values.slice(Math.floor(values.length / 2))),
    }
  })
}

function slope(values: number[]): number {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  let [above, below] = [0, 0]
  for (const [at, value] of values.entries()) {
    above += (at - middle) * (value - mean)
    below += (at - middle) ** 2
  }
  return below === 0 ? 0 : above / below
}

export function hopsTable({ hops, failures, growth }: HopsResult, machine: string): string {
  const head = `${machine} ${hops} hops, ${failures.length} failures.\n\n| all three hosts together | first quarter | last quarter | most | per hop | in the last half |\n|---|---|---|---|---|---|\n`
  const rows = growth.map(({ what, first, last, most, perHop, perHopLate }) => {
    const shown = (value: number) => (what.endsWith('_bytes') ? `${rounded(value / 2 ** 20)} MiB` : rounded(value))
    const each = (slope: number) =>
      what.endsWith('_bytes') ? `${rounded(slope / 1024)} KiB` : Math.round(slope * 1000) / 1000
    return `| ${what.replace('_bytes', ' memory').replace('_ms', ', ms').replaceAll('_', ' ')} | ${shown(first)} | ${shown(last)} | ${shown(most)} | ${each(perHop)} | ${each(perHopLate)} |\n`
  })
  return `${head}${rows.join('')}${failures.map((failure) => `\n- ${failure}`).join('')}`
}
