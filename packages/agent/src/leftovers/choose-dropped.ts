// Which leftovers have to go. Pure: the oldest first, until number, bytes, age and the file system's free room are as they should be.

export interface Leftover {
  container: string
  bytes: number
  keptAtMs: number
}

export interface Room {
  sizeBytes: number
  /** Of the file system, as it is now. */
  freeBytes: number
}

export interface Bounds extends Room {
  mostBytes: number
  nowMs: number
  /** The last of the leftovers isn't one yet, whatever the clock says: its bytes are a container's, and dropping it frees nothing. */
  arrivingBytes: number
}

/** What has not come back within a week has mostly changed, or stays where it is. */
const mostAgeMs = 7 * 24 * 3600 * 1000
/** Each takes a line in the host's report. */
export const mostLeftovers = 256
/** Containers need it more than what is only kept. */
const leastFreeShare = 0.1

export function chooseDropped(leftovers: readonly Leftover[], bounds: Bounds): string[] {
  const { mostBytes, nowMs, sizeBytes, arrivingBytes } = bounds
  const oldestFirst = [...leftovers].sort((left, right) => left.keptAtMs - right.keptAtMs)
  // What a container that goes away would give back is free already, but for what is kept of it.
  let freeBytes = bounds.freeBytes
  let bytes = oldestFirst.reduce((total, each) => total + each.bytes, 0)
  let count = oldestFirst.length
  const dropped: string[] = []
  for (const each of oldestFirst) {
    const tooOld = nowMs - each.keptAtMs > mostAgeMs
    const tooMuch = bytes > mostBytes || count > mostLeftovers
    if (!tooOld && !tooMuch && freeBytes >= leastFreeShare * sizeBytes) continue
    dropped.push(each.container)
    bytes -= each.bytes
    freeBytes += each.bytes
    count--
  }
  // Larger than all that may be kept: it takes nobody's place.
  const arriving = leftovers.at(-1)
  if (arrivingBytes > mostBytes && arriving) return [arriving.container]
  return dropped
}
