// Packing with an eye on what comes next. Best fit looks at one resource of one host; what it wastes are holes that no later
// demand fits, and hosts whose memory is used up while their cores idle. Both can be foreseen from the sizes that demands
// have had of late (the mix): from them a table says, for each amount of free cpu and memory, how much of the cpu would stay
// unused even if the best sequence of such demands came (an unbounded knapsack in two dimensions). A placement is then as
// good as it lowers that waste and keeps free cpu and free memory in balance. Kin: fragmentation gradient descent (Weng et
// al., USENIX ATC 2023), sum of squares (Csirik et al., JACM 2006).
//
// All amounts are rounded to cells, so that hosts in the same cell are equal and the model ranks cells instead of hosts.
// Hosts always fit exactly what they fit: rounding only concerns the ranking.

import type { Demand } from './snapshot.ts'

export const cpuCells = 480
export const memoryCells = 96

/** Weights, chosen on one trace; a broad range around them gives the same within 0.2 % (docs/scheduling.md). */
const wasteWeight = 5
const freeWeight = 0.02
/** A rare size is a poor bet: so much waste is worth one in a hundred demands. */
const rarityCost = 0.003
/** Sizes rarer than this are not counted on. */
const minFrequency = 0.005
/** An empty host is taken though another fits when placing there would be worse than this … */
export const openingScore = -0.08
/** … and fewer hosts than this are open. */
export const maxOpenHosts = 6
/** A host is open when it's in use and has more than this free of both cpu and memory. */
export const openShare = 0.25
/** An empty host when enough are open: after all others. */
export const lastResortScore = -1e6

export interface MixEntry {
  cpuMilli: number
  memoryBytes: number
  count: number
}

export interface FillTables {
  /** Sizes of recent demands. */
  mix: readonly MixEntry[]
  /** Waste by cell, per host size; filled in when first needed, from the mix alone. */
  tables: Map<string, Float32Array>
}

export function fillTables(mix: readonly MixEntry[]): FillTables {
  return { mix, tables: new Map() }
}

/** Counts the sizes among `demands`. */
export function mixOf(demands: Iterable<Pick<Demand, 'requests'>>): MixEntry[] {
  const entries = new Map<string, MixEntry>()
  for (const { requests } of demands) {
    const key = `${requests.cpuMilli} ${requests.memoryBytes}`
    const entry = entries.get(key)
    if (entry) entry.count += 1
    else entries.set(key, { cpuMilli: requests.cpuMilli, memoryBytes: requests.memoryBytes, count: 1 })
  }
  return [...entries.values()]
}

/** A millionth of a cell: amounts that are whole cells but for rounding count as whole. */
const slack = 1e-6

export const freeCpuCell = (free: number, capacity: number): number => cell(free, capacity, cpuCells)
export const freeMemoryCell = (free: number, capacity: number): number => cell(free, capacity, memoryCells)

function cell(free: number, capacity: number, cells: number): number {
  if (!(capacity > 0)) return 0
  return Math.min(cells, Math.max(0, Math.floor((free / capacity) * cells + slack)))
}

export const neededCells = (amount: number, capacity: number, cells: number): number =>
  capacity > 0 ? Math.round((amount / capacity) * cells) : 0

/** Higher is better. Free cells before, and cells needed. */
export function fillScore(
  table: Float32Array,
  cpu: number,
  memory: number,
  needCpu: number,
  needMemory: number,
): number {
  const cpuAfter = Math.max(0, cpu - needCpu)
  const memoryAfter = Math.max(0, memory - needMemory)
  const waste = table[cpuAfter * (memoryCells + 1) + memoryAfter]! - table[cpu * (memoryCells + 1) + memory]!
  const imbalance =
    Math.abs(cpuAfter / cpuCells - memoryAfter / memoryCells) - Math.abs(cpu / cpuCells - memory / memoryCells)
  return -imbalance - freeWeight * Math.max(cpuAfter / cpuCells, memoryAfter / memoryCells) - wasteWeight * waste
}

/** For hosts of this size: the share of cpu that stays unused, by free cpu cell × free memory cell. */
export function wasteTable(fill: FillTables, cpuMilli: number, memoryBytes: number): Float32Array {
  const key = `${cpuMilli} ${memoryBytes}`
  const known = fill.tables.get(key)
  if (known) return known
  const table = computeWaste(fill.mix, cpuMilli, memoryBytes)
  fill.tables.set(key, table)
  return table
}

function computeWaste(mix: readonly MixEntry[], cpuMilli: number, memoryBytes: number): Float32Array {
  const total = mix.reduce((sum, { count }) => sum + count, 0)
  const sizes = mix
    .filter(({ count }) => count / total >= minFrequency)
    .map((entry) => ({
      cpu: cellsTaken(entry.cpuMilli, cpuMilli, cpuCells),
      memory: cellsTaken(entry.memoryBytes, memoryBytes, memoryCells),
      cost: (rarityCost / 100) * (total / entry.count),
    }))
    .filter(({ cpu, memory }) => cpu <= cpuCells && memory <= memoryCells && cpu > 0)
  const width = memoryCells + 1
  const table = new Float32Array((cpuCells + 1) * width)
  for (let cpu = 0; cpu <= cpuCells; cpu++) {
    for (let memory = 0; memory <= memoryCells; memory++) {
      let least = cpu / cpuCells
      for (const size of sizes) {
        if (size.cpu > cpu || size.memory > memory) continue
        const waste = table[(cpu - size.cpu) * width + memory - size.memory]! + size.cost
        if (waste < least) least = waste
      }
      table[cpu * width + memory] = least
    }
  }
  return table
}

const cellsTaken = (amount: number, capacity: number, cells: number): number =>
  capacity > 0 ? Math.ceil((amount / capacity) * cells - slack) : cells + 1
