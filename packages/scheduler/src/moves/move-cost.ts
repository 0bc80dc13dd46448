// What a live move costs: bytes over the wire, seconds of work, and the blackout. The coefficients are measured (a median of
// the cluster's own past moves when there are enough of them), so that an estimate is of this cluster and not of a book.

import type { ContainerSnapshot } from './container-snapshot.ts'

export interface MoveCost {
  blackoutMs: number
  /** Everything that is sent: disk, memory, and what is written while they are on their way. */
  bytes: number
  durationMs: number
  /** How fast it writes, memory and disk: what is written meanwhile is sent twice. */
  dirtyBytesPerS: number
}

export interface MoveModel {
  /** Of one move on the wire. */
  bytesPerS: number
  /** Freeze, dump, restore and thaw of a container that holds nothing. */
  blackoutBaseMs: number
  /** Dump and restore of one byte of memory; both happen while it is frozen. */
  dumpBytesPerS: number
  /** Everything around the transfer: preparing, committing, cleaning. */
  overheadMs: number
}

/** Of a move between two hosts on a gigabit, with CRIU's usual 60 to 80 ms for an idle container. */
export const usualMoveModel: MoveModel = {
  bytesPerS: 100_000_000,
  blackoutBaseMs: 80,
  dumpBytesPerS: 1_000_000_000,
  overheadMs: 700,
}

/**
 * The disk goes ahead while the container runs, and of the memory as much as its last move could send ahead; what is written to the disk
 * meanwhile, and the rest of the memory, go while it is frozen.
 */
export function moveCost(container: ContainerSnapshot, model: MoveModel): MoveCost {
  const { residentBytes, diskBytes, dirtyBytesPerS } = container
  const memoryFrozen = Math.min(residentBytes, container.memoryFrozenBytes ?? residentBytes)
  const ahead = (diskBytes + residentBytes - memoryFrozen) / model.bytesPerS
  const dirtied = Math.min(dirtyBytesPerS * ahead, diskBytes)
  const blackoutMs =
    model.blackoutBaseMs + 1000 * ((memoryFrozen + dirtied) / model.bytesPerS + memoryFrozen / model.dumpBytesPerS)
  return {
    blackoutMs,
    bytes: diskBytes + residentBytes + dirtied,
    durationMs: model.overheadMs + 1000 * ahead + blackoutMs,
    dirtyBytesPerS: dirtyBytesPerS + (container.memoryDirtyBytesPerS ?? 0),
  }
}

/** A past move, as its operation's figures tell. */
export interface MeasuredMove {
  bytes: number
  durationMs: number
  blackoutMs: number
}

/** Fewer measured moves than this say more about those containers than about the cluster. */
const enoughMoves = 5
/** A move that sent less than this says nothing about the wire. */
const tellingBytes = 1 << 20

/** `model` with those coefficients replaced that `moves` can tell. */
export function learnMoveModel(moves: readonly MeasuredMove[], model: MoveModel = usualMoveModel): MoveModel {
  if (moves.length < enoughMoves) return model
  const small = moves.filter(({ bytes }) => bytes < tellingBytes)
  const large = moves.filter(({ bytes }) => bytes >= tellingBytes)
  const overheadMs =
    small.length < enoughMoves
      ? model.overheadMs
      : median(small.map(({ durationMs, blackoutMs }) => Math.max(0, durationMs - blackoutMs)))
  const blackoutBaseMs =
    small.length < enoughMoves ? model.blackoutBaseMs : median(small.map(({ blackoutMs }) => blackoutMs))
  const seconds = ({ durationMs }: MeasuredMove) => Math.max(1, durationMs - overheadMs - blackoutBaseMs) / 1000
  const bytesPerS =
    large.length < enoughMoves ? model.bytesPerS : median(large.map((move) => move.bytes / seconds(move)))
  return { ...model, overheadMs, blackoutBaseMs, bytesPerS }
}

function median(values: number[]): number {
  const sorted = values.sort((left, right) => left - right)
  return sorted[sorted.length >> 1]!
}
