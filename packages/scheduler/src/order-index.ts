// The index of a shelf for the policies pack, balance and spread. Hosts are parted by their scarcest resource and kept in
// order of how much of it is taken (spread: in order of their containers), in blocks that know the least and the most that
// any of their hosts has taken of each resource. A search walks the blocks best first, leaves out those in which nothing can
// fit or nothing can be better than what it has, and stops where the order says that all the rest is worse.
//
// Bounds are reckoned with the same additions and divisions as scores, and those are monotone, rounding included: so a block
// that is left out never has the host that an exhaustive search would take.

import { columns, shareOf } from './resource-vector.ts'
import { before, finiteColumns, offer, type Rows, type Search, type ShelfIndex } from './rows.ts'

/** Small enough to be looked through at once, large enough that there are few. */
const blockSize = 64
/** After so many departures a block's bounds are worked out anew before it is looked through. */
const staleAfter = 8
/** Only for the rule that ends a walk early, which adds shares instead of amounts. */
const roundingSlack = 1e-9

interface Block {
  slots: Int32Array
  count: number
  /** By column; bounds, not always attained. */
  least: Float64Array
  most: Float64Array
  fewestContainers: number
  firstLot: number
  imageMask: number
  departures: number
}

export function createOrderIndex(
  rows: Rows,
  capacity: Float64Array,
  policy: 'pack' | 'balance' | 'spread',
): ShelfIndex {
  const finite = finiteColumns(capacity)
  const keys = new Float64Array(rows.containers.length)
  const lists: Block[][] = Array.from({ length: policy === 'spread' ? 1 : columns }, () => [])
  const listOf = new Uint8Array(rows.containers.length)
  /** Distance that a placement can move a host along the order at most. */
  let widest = 0

  return { fill, insert, remove, search, consider }

  function fill(slots: readonly number[]): void {
    for (const slot of slots) setKey(slot)
    for (const [list, blocks] of lists.entries()) {
      const sorted = slots
        .filter((slot) => listOf[slot] === list)
        .sort((left, right) => (precedes(left, right) ? -1 : 1))
      for (let from = 0; from < sorted.length; from += blockSize / 2) {
        const block = emptyBlock()
        for (const slot of sorted.slice(from, from + blockSize / 2)) {
          block.slots[block.count++] = slot
          widen(block, slot)
        }
        blocks.push(block)
      }
    }
  }

  function setKey(slot: number): void {
    if (policy === 'spread') {
      keys[slot] = rows.containers[slot]!
      return
    }
    let dominant = 0
    let share = -1
    for (let i = 0; i < finite.length; i++) {
      const column = finite[i]!
      const taken = shareOf(rows.used[slot * columns + column]!, capacity[column]!)
      if (taken > share) {
        dominant = column
        share = taken
      }
    }
    listOf[slot] = dominant
    keys[slot] = policy === 'pack' ? -share : share
  }

  function precedes(left: number, right: number): boolean {
    const difference = keys[left]! - keys[right]!
    return difference < 0 || (difference === 0 && before(rows, left, right))
  }

  function insert(slot: number): void {
    setKey(slot)
    const blocks = lists[listOf[slot]!]!
    if (blocks.length === 0) blocks.push(emptyBlock())
    let at = Math.min(blockFor(blocks, slot), blocks.length - 1)
    if (blocks[at]!.count === blockSize) {
      split(blocks, at)
      if (precedes(blocks[at]!.slots[blocks[at]!.count - 1]!, slot)) at += 1
    }
    const block = blocks[at]!
    let position = block.count
    while (position > 0 && precedes(slot, block.slots[position - 1]!)) position -= 1
    block.slots.copyWithin(position + 1, position, block.count)
    block.slots[position] = slot
    block.count += 1
    widen(block, slot)
  }

  /** The first block whose last row isn't before `slot`; their number when there is none. */
  function blockFor(blocks: readonly Block[], slot: number): number {
    let low = 0
    let high = blocks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const { slots, count } = blocks[middle]!
      if (precedes(slots[count - 1]!, slot)) low = middle + 1
      else high = middle
    }
    return low
  }

  function split(blocks: Block[], at: number): void {
    const block = blocks[at]!
    const right = emptyBlock()
    const half = block.count >>> 1
    right.slots.set(block.slots.subarray(half, block.count))
    right.count = block.count - half
    block.count = half
    measure(block)
    measure(right)
    blocks.splice(at + 1, 0, right)
  }

  function remove(slot: number): void {
    const blocks = lists[listOf[slot]!]!
    const at = blockFor(blocks, slot)
    const block = blocks[at]!
    const position = block.slots.indexOf(slot)
    if (position < 0 || position >= block.count) throw new Error(`order index: row ${slot} isn't where it should be`)
    block.slots.copyWithin(position, position + 1, block.count)
    block.count -= 1
    block.departures += 1
    if (block.count === 0) blocks.splice(at, 1)
  }

  function emptyBlock(): Block {
    const block: Block = {
      slots: new Int32Array(blockSize),
      count: 0,
      least: new Float64Array(columns),
      most: new Float64Array(columns),
      fewestContainers: 0,
      firstLot: 0,
      imageMask: 0,
      departures: 0,
    }
    reset(block)
    return block
  }

  function reset(block: Block): void {
    block.least.fill(Infinity)
    block.most.fill(-Infinity)
    block.fewestContainers = Infinity
    block.firstLot = Infinity
    block.imageMask = 0
    block.departures = 0
  }

  function measure(block: Block): void {
    reset(block)
    for (let i = 0; i < block.count; i++) widen(block, block.slots[i]!)
  }

  function widen(block: Block, slot: number): void {
    const at = slot * columns
    for (let i = 0; i < finite.length; i++) {
      const column = finite[i]!
      const used = rows.used[at + column]!
      if (used < block.least[column]!) block.least[column] = used
      if (used > block.most[column]!) block.most[column] = used
    }
    if (rows.containers[slot]! < block.fewestContainers) block.fewestContainers = rows.containers[slot]!
    if (rows.lots[slot]! < block.firstLot) block.firstLot = rows.lots[slot]!
    block.imageMask |= rows.imageMask[slot]!
  }

  function search(search: Search): void {
    widest = 0
    for (let i = 0; i < finite.length; i++) {
      const column = finite[i]!
      widest = Math.max(widest, shareOf(search.vector[column]!, capacity[column]!))
    }
    for (const blocks of lists) {
      if (blocks.length > 0) walk(blocks, search)
    }
  }

  function walk(blocks: readonly Block[], search: Search): void {
    for (const block of blocks) {
      if (search.best >= 0 && allWorse(keys[block.slots[0]!]!, search)) return
      if (!mayFit(block, search.vector) || !mayWin(block, search)) continue
      if (block.departures >= staleAfter) {
        measure(block)
        if (!mayFit(block, search.vector) || !mayWin(block, search)) continue
      }
      for (let i = 0; i < block.count; i++) consider(block.slots[i]!, search)
    }
  }

  /** From `key` on, no score reaches the best. */
  function allWorse(key: number, { bestScore }: Search): boolean {
    if (policy === 'pack') return -key + widest + roundingSlack < bestScore
    return key > -bestScore + roundingSlack
  }

  function mayFit(block: Block, vector: Float64Array): boolean {
    for (let i = 0; i < finite.length; i++) {
      const column = finite[i]!
      if (block.least[column]! + vector[column]! > capacity[column]!) return false
    }
    return true
  }

  function mayWin(block: Block, search: Search): boolean {
    if (search.best < 0) return true
    const bound = boundOf(block, search.vector)
    if (bound !== search.bestScore) return bound > search.bestScore
    const mayHold = (block.imageMask & search.imageBit) !== 0
    if (!search.bestHasImage && mayHold) return true
    if (search.bestHasImage && !mayHold) return false
    const containers = block.fewestContainers - rows.containers[search.best]!
    return containers < 0 || (containers === 0 && block.firstLot < rows.lots[search.best]!)
  }

  function boundOf(block: Block, vector: Float64Array): number {
    if (policy === 'spread') return -block.fewestContainers
    const side = policy === 'pack' ? block.most : block.least
    let bound = 0
    for (let i = 0; i < finite.length; i++) {
      const column = finite[i]!
      const share = shareOf(Math.min(capacity[column]!, side[column]! + vector[column]!), capacity[column]!)
      if (share > bound) bound = share
    }
    return policy === 'pack' ? bound : -bound
  }

  function consider(slot: number, search: Search): void {
    const at = slot * columns
    const { vector } = search
    let share = 0
    for (let i = 0; i < finite.length; i++) {
      const column = finite[i]!
      const after = rows.used[at + column]! + vector[column]!
      const limit = capacity[column]!
      if (after > limit) return
      if (limit !== 0 && after / limit > share) share = after / limit
    }
    const score = policy === 'pack' ? share : policy === 'balance' ? -share : -rows.containers[slot]!
    if (search.best >= 0 && score < search.bestScore) return
    if (search.accepts !== null && !search.accepts(slot)) return
    offer(rows, slot, score, search)
  }
}
