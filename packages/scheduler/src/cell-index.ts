// The index of a shelf for packing by holes (fill.ts): its score depends only on how many whole cells of cpu and memory are
// free, so hosts in the same cell are equal, and the search goes over the occupied cells instead of the hosts. A cluster that
// is packed has few: most hosts are full, and the empty ones are one cell of their own.

import {
  cpuCells,
  type FillTables,
  fillScore,
  freeCpuCell,
  freeMemoryCell,
  lastResortScore,
  memoryCells,
  neededCells,
  openingScore,
  wasteTable,
} from './fill.ts'
import { columns, cpuColumn, memoryColumn } from './resource-vector.ts'
import { before, finiteColumns, fits, holds, offer, type Rows, type Search, type ShelfIndex } from './rows.ts'

interface Cell {
  cpu: number
  memory: number
  /** Fewest containers first, then by lot. */
  slots: number[]
}

export function createCellIndex(rows: Rows, capacity: Float64Array, fillTables: FillTables): ShelfIndex {
  const finite = finiteColumns(capacity)
  const cpuCapacity = capacity[cpuColumn]!
  const memoryCapacity = capacity[memoryColumn]!
  const table = wasteTable(fillTables, cpuCapacity, memoryCapacity)
  const byCpu: Cell[][] = Array.from({ length: cpuCells + 1 }, () => [])
  const empty: Cell = { cpu: cpuCells, memory: memoryCells, slots: [] }

  return { fill: (slots) => void slots.forEach(insert), insert, remove, search, consider }

  function insert(slot: number): void {
    const cell = cellOf(slot) ?? newCell(slot)
    cell.slots.splice(position(cell, slot), 0, slot)
  }

  function remove(slot: number): void {
    const cell = cellOf(slot)
    const at = cell ? position(cell, slot) : -1
    if (!cell || cell.slots[at] !== slot) throw new Error(`cell index: row ${slot} isn't where it should be`)
    cell.slots.splice(at, 1)
    if (cell.slots.length > 0 || cell === empty) return
    const line = byCpu[cell.cpu]!
    line.splice(line.indexOf(cell), 1)
  }

  function cellOf(slot: number): Cell | undefined {
    if (rows.containers[slot] === 0) return empty
    const memory = freeMemory(slot)
    return byCpu[freeCpu(slot)]!.find((cell) => cell.memory === memory)
  }

  function newCell(slot: number): Cell {
    const cell = { cpu: freeCpu(slot), memory: freeMemory(slot), slots: [] }
    byCpu[cell.cpu]!.push(cell)
    return cell
  }

  function freeCpu(slot: number): number {
    return freeCpuCell(cpuCapacity - rows.used[slot * columns + cpuColumn]!, cpuCapacity)
  }

  function freeMemory(slot: number): number {
    return freeMemoryCell(memoryCapacity - rows.used[slot * columns + memoryColumn]!, memoryCapacity)
  }

  function position({ slots }: Cell, slot: number): number {
    let low = 0
    let high = slots.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (before(rows, slots[middle]!, slot)) low = middle + 1
      else high = middle
    }
    return low
  }

  function search(search: Search): void {
    const needCpu = neededCells(search.vector[cpuColumn]!, cpuCapacity, cpuCells)
    const needMemory = neededCells(search.vector[memoryColumn]!, memoryCapacity, memoryCells)
    // Needs are rounded to the nearest cell and free amounts down: one cell less may still fit.
    for (let cpu = Math.max(0, needCpu - 1); cpu <= cpuCells; cpu++) {
      for (const cell of byCpu[cpu]!) {
        if (cell.memory < needMemory - 1) continue
        lookInto(cell, fillScore(table, cell.cpu, cell.memory, needCpu, needMemory), search)
      }
    }
    // The largest cell, and seldom the best.
    lookInto(empty, search.enoughOpen ? lastResortScore : openingScore, search)
  }

  /** All rows of the cell have the same score: the first that will do, but one with the image goes before it. */
  function lookInto(cell: Cell, score: number, search: Search): void {
    if (search.best >= 0 && score < search.bestScore) return
    let found = false
    for (const slot of cell.slots) {
      if (found && !holds(rows, slot, search)) continue
      if (!takes(slot, search)) continue
      offer(rows, slot, score, search)
      if (search.best === slot && search.bestHasImage) return
      found = true
    }
  }

  function takes(slot: number, search: Search): boolean {
    return fits(rows, capacity, finite, slot, search.vector) && (search.accepts === null || search.accepts(slot))
  }

  function consider(slot: number, search: Search): void {
    if (!takes(slot, search)) return
    if (rows.containers[slot] === 0) {
      offer(rows, slot, search.enoughOpen ? lastResortScore : openingScore, search)
      return
    }
    const needCpu = neededCells(search.vector[cpuColumn]!, cpuCapacity, cpuCells)
    const needMemory = neededCells(search.vector[memoryColumn]!, memoryCapacity, memoryCells)
    offer(rows, slot, fillScore(table, freeCpu(slot), freeMemory(slot), needCpu, needMemory), search)
  }
}
