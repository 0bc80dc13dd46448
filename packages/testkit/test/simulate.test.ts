// The simulator: what it reads, that it counts rightly, and that the same seed gives the same replay.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { compare, comparisonTable } from '../src/simulate/compare.ts'
import { parseOptions } from '../src/simulate/options.ts'
import { plot } from '../src/simulate/plot.ts'
import { replay } from '../src/simulate/replay.ts'
import type { ReplaySettings } from '../src/simulate/settings.ts'
import { GiB, lowerBound, type Trace, type Workload } from '../src/simulate/trace.ts'
import { openTrace } from '../src/simulate/traces/open-trace.ts'

const host = { cpuMilli: 4000, memoryBytes: 4 * GiB }
const hourS = 3600

const workload = (
  name: string,
  arriveS: number,
  leaveS: number,
  cores: number,
  loads: number[] | null = null,
): Workload => ({
  name,
  arriveS,
  leaveS,
  cpuMilli: 1000 * cores,
  memoryBytes: cores * GiB,
  loads: loads && Float32Array.from(loads),
})

const traceOf = (workloads: Workload[], spanS: number): Trace => ({
  name: 'by hand',
  workloads,
  spanS,
  loadStepS: hourS,
  host,
  overcommit: 1,
})

const settings: ReplaySettings = {
  policy: 'pack',
  hosts: 3,
  host,
  overcommit: 1,
  consolidate: false,
  rebalance: false,
  seed: 1,
}

t.test('counts hosts, refusals and time', async (t) => {
  const trace = traceOf(
    [
      workload('w1', 0, 11 * hourS, 3),
      workload('w2', 1, 5 * hourS + 1, 3),
      workload('huge', 2, Number.POSITIVE_INFINITY, 5),
      workload('w3', 6 * hourS, 11 * hourS, 1),
    ],
    10 * hourS,
  )
  for (const policy of ['pack', 'first-fit', 'best-fit', 'worst-fit'] as const) {
    const { figures } = replay(trace, { ...settings, policy })
    t.match(figures, { arrivals: 4, refusals: 1, hosts_max: 2, moves: 0, overload_minutes: 0 }, policy)
    t.equal(figures.hosts_mean, 1.5, 'two hosts for half of the time')
    t.equal(figures.empty_share, 0.5)
  }
  t.equal(lowerBound(trace, host), 2, 'what is too large for any host is not counted')
})

t.test('consolidation empties hosts that time has thinned out', async (t) => {
  const early = Array.from({ length: 6 }, (_, at) => workload(`e${at}`, at, (at % 2 === 0 ? 2 : 100) * hourS, 2))
  const trace = traceOf(early, 20 * hourS)
  const plain = replay(trace, settings).figures
  const emptied = replay(trace, { ...settings, consolidate: true }).figures
  t.ok(emptied.hosts_mean! < plain.hosts_mean!, `${emptied.hosts_mean} hosts, without it ${plain.hosts_mean}`)
  t.equal(emptied.moves, 1, 'of three that stay two fit on one host')
  t.equal(emptied.refusals, 0)
})

t.test('rebalancing ends an overload', async (t) => {
  const busy = (name: string) => workload(name, 0, Number.POSITIVE_INFINITY, 2, [1])
  const idle = (name: string) => workload(name, 0, Number.POSITIVE_INFINITY, 2, [0.1])
  // Two and a half times the cores are promised; the busy ones come first, so they share a host.
  const trace = traceOf(
    [busy('b1'), busy('b2'), busy('b3'), idle('i1'), idle('i2'), idle('i3')].map((each) => ({
      ...each,
      memoryBytes: GiB / 2,
    })),
    24 * hourS,
  )
  const packed = { ...settings, hosts: 2, overcommit: 2.5 }
  const plain = replay(trace, packed).figures
  const relieved = replay(trace, { ...packed, rebalance: true }).figures
  t.ok(plain.overload_minutes! > 20 * 60, `${plain.overload_minutes} minutes without it`)
  t.ok(relieved.overload_minutes! <= 20, `${relieved.overload_minutes} minutes with it`)
  t.ok(relieved.moves! >= 1 && relieved.moves! <= 3)
})

t.test('the same seed gives the same replay, another one another', async (t) => {
  const run = (seed: number) => {
    const trace = openTrace({ path: null, days: 1, seed, stay: false })
    return compare(
      { ...trace, workloads: trace.workloads.slice(0, 1500) },
      {
        hosts: null,
        policies: ['pack', 'first-fit'],
        consolidate: true,
        rebalance: true,
        overcommit: null,
        hostCores: null,
        hostGib: null,
        seed,
      },
    )
  }
  const [first, again, other] = [run(3), run(3), run(4)]
  const figures = ({ runs }: ReturnType<typeof run>) => runs.map(({ label, result }) => [label, result.figures])
  t.same(figures(first), figures(again))
  t.not(JSON.stringify(figures(first)), JSON.stringify(figures(other)))
  t.same(
    first.runs.map(({ label }) => label),
    ['pack', 'pack + consolidate', 'first-fit'],
  )
  t.match(comparisonTable(first), /hosts in use, mean/)
  const svg = plot('a & b', [{ label: '<pack>', samples: first.runs[0]!.result.samples }])
  t.match(svg, /^<svg[\s\S]*<polyline[\s\S]*<\/svg>\n$/)
  t.notMatch(svg, /NaN|Infinity|<pack>|a & b/)
  t.match(svg, /hosts in use/)
  const [sample] = first.runs[0]!.result.samples
  const full = plot('full', [{ label: 'pack', samples: [{ ...sample!, refusals: 3, overloaded: 0 }] }])
  t.match(full, /refusals so far/)
  t.notMatch(full, /overloaded/, 'nothing to be seen there')
})

t.test('reads traces by what is in them', async (t) => {
  const folder = t.testdir({
    'openb.csv':
      'name,cpu_milli,memory_mib,num_gpu,creation_time,deletion_time\n' + 'p1,1000,2048,0,50,90\np2,500,1024,1,10,\n',
    'azure_v1_flavor_map.txt': '1,1.75 b\n2,4 h\n',
    'other.txt': 'hello\n',
    'broken.csv': 'name,cpu_milli,memory_mib,num_gpu,creation_time,deletion_time\np1,many,2048,0,50,90\n',
  })
  writeFileSync(join(folder, 'flavors.txt.gz'), gzipSync('1800000 b,|,h,b\n1800300 \n1800600 h\n'))
  writeFileSync(join(folder, 'durations.txt.gz'), gzipSync('1800000 U1,|,C3,U13\n1800300 \n1800600 U0\n'))
  writeFileSync(join(folder, 'planetlab.csv.gz'), gzipSync('vm,cpu000,cpu001\nx,10,20\ny,50,100\n'))
  const open = (name: string, days: number | null = null, stay = false) =>
    openTrace({ path: join(folder, name), days, seed: 1, stay })
  t.test('openb', async (t) => {
    const { workloads, spanS } = open('openb.csv')
    t.match(workloads, [
      { name: 'p2', arriveS: 10, leaveS: Number.POSITIVE_INFINITY, cpuMilli: 500, memoryBytes: GiB },
      { name: 'p1', arriveS: 50, leaveS: 90, cpuMilli: 1000, memoryBytes: 2 * GiB },
    ])
    t.equal(spanS, 50)
    t.ok(open('openb.csv', null, true).workloads.every(({ leaveS }) => leaveS === Number.POSITIVE_INFINITY))
  })
  t.test('Azure', async (t) => {
    const { workloads, spanS } = open('flavors.txt.gz')
    t.equal(spanS, 900)
    t.equal(workloads.length, 4)
    const lives = (size: number) =>
      workloads.filter(({ cpuMilli }) => cpuMilli === size).map(({ arriveS, leaveS }) => leaveS - arriveS)
    const [first, second] = lives(1000).sort((left, right) => left - right)
    t.ok(first! > 0 && first! <= 300, 'bin 1 ends after five minutes')
    t.ok(second! >= hourS && second! <= 2 * hourS, 'bin 13 after two hours')
    t.ok(lives(2000).includes(Number.POSITIVE_INFINITY), 'who still ran at the end stays')
  })
  t.test('PlanetLab', async (t) => {
    const { workloads, spanS } = open('planetlab.csv.gz', 3)
    t.equal(workloads.length, 2)
    t.equal(spanS, 3 * 2 * 300)
    t.same(
      [...workloads[0]!.loads!.slice(0, 2)].map((load) => Math.round(100 * load)),
      [10, 20],
    )
    t.equal(workloads[0]!.loads!.length, 6)
  })
  t.test('and says what is wrong with others', async (t) => {
    t.throws(() => open('other.txt'), { code: 'BAD_REQUEST', message: /other.txt: it is none of/ })
    t.throws(() => open('broken.csv'), { code: 'BAD_REQUEST', message: /line 2: cpu_milli is "many"/ })
    t.throws(() => open('missing.csv'), { code: 'BAD_REQUEST', message: /missing.csv/ })
  })
})

t.test('options', async (t) => {
  t.equal(parseOptions(['cluster', '--help']), null)
  t.match(parseOptions(['cluster', '--policy', 'pack,first-fit', '--hosts', '5', '--consolidate']), {
    policies: ['pack', 'first-fit'],
    hosts: 5,
    consolidate: true,
    rebalance: true,
    seed: 1,
  })
  const misuses: [string, string[], RegExp][] = [
    ['nothing to simulate', [], /what to simulate/],
    ['no such policy', ['cluster', '--policy', 'magic'], /--policy magic: there are pack/],
    ['no hosts', ['cluster', '--hosts', '0'], /--hosts 0: must be a whole number from 1/],
    ['not a number', ['cluster', '--days', 'two'], /--days two/],
    ['no such option', ['cluster', '--fast'], /--fast/],
  ]
  for (const [name, args, message] of misuses) {
    t.throws(() => parseOptions(args), { code: 'BAD_REQUEST', message }, name)
  }
})
