// What each container has used, over a day: from the totals in its host's reports to means of cpu and maxima of memory per bucket, which forecasts and
// percentiles are made of. Every controller hears the same reports and keeps its own, so a new leader needn't begin anew. Bounded: a
// ring of buckets per container, and containers that no report names any more are forgotten.

import type { HostReport, ObservedContainer } from '@drover/protocol'
import { forecast, type Sample, type Use } from '@drover/scheduler'

/** Fine enough that a new load is seen within a plan or two; a day of them are 288. */
export const bucketMs = 5 * 60_000
const buckets = 288
/** Reports at once after a change are closer together than a rate needs. */
const minGapMs = 500
/** Not in any report for so long: it is gone. */
const forgetAfterMs = 10 * 60_000
/** More containers than this in one cluster's reports is a defect or an attack. */
const maxContainers = 200_000

interface Track {
  host: string
  epoch: number
  cpuUsec: number
  readAtMs: number
  seenAtMs: number
  firstAtMs: number
  memoryBytes: number
  /** Bucket under way. */
  bucket: number
  weightMs: number
  cpuUsecOfBucket: number
  /** The most in the bucket: memory that is short for a moment kills. */
  memoryMost: number
  /** Ended buckets, as a ring: end, cpu, memory. */
  ring: Float64Array
  next: number
  count: number
}

/** What is known of a container's use. */
export interface MeasuredContainer {
  /** Null: not measured long enough to say. */
  expected: Use | null
  memoryBytes: number
  /** For how long it has been measured. */
  forMs: number
}

export class UseHistory {
  readonly #tracks = new Map<string, Track>()
  #sweptAtMs = 0

  record(report: HostReport, nowMs: number): void {
    for (const seen of report.containers) this.#add(report.host, seen, nowMs)
    if (nowMs - this.#sweptAtMs < forgetAfterMs) return
    this.#sweptAtMs = nowMs
    for (const [id, { seenAtMs }] of this.#tracks) if (nowMs - seenAtMs > forgetAfterMs) this.#tracks.delete(id)
  }

  get size(): number {
    return this.#tracks.size
  }

  of(container: string, nowMs: number): MeasuredContainer | null {
    const track = this.#tracks.get(container)
    if (!track) return null
    const expected = forecast(samplesOf(track), nowMs)
    return { expected, memoryBytes: track.memoryBytes, forMs: nowMs - track.firstAtMs }
  }

  #add(host: string, { container, epoch, cpuUsec, memoryBytes, state }: ObservedContainer, nowMs: number): void {
    const track = this.#tracks.get(container)
    // While it moves, two hosts have it: the one with the newer right counts.
    if (track && (epoch < track.epoch || (epoch === track.epoch && host !== track.host && track.seenAtMs === nowMs)))
      return
    if (!track) {
      if (this.#tracks.size >= maxContainers) return
      this.#tracks.set(container, newTrack(host, epoch, cpuUsec, memoryBytes, nowMs))
      return
    }
    track.seenAtMs = nowMs
    track.memoryBytes = state === 'stopped' ? 0 : memoryBytes
    const gapMs = nowMs - track.readAtMs
    const sameRun = host === track.host && epoch === track.epoch && cpuUsec >= track.cpuUsec
    if (sameRun && gapMs < minGapMs) return
    if (sameRun) this.#count(track, cpuUsec - track.cpuUsec, gapMs, nowMs)
    Object.assign(track, { host, epoch, cpuUsec, readAtMs: nowMs })
  }

  #count(track: Track, usedUsec: number, gapMs: number, nowMs: number): void {
    const bucket = Math.floor(nowMs / bucketMs)
    if (bucket !== track.bucket) closeBucket(track, bucket)
    track.weightMs += gapMs
    track.cpuUsecOfBucket += usedUsec
    track.memoryMost = Math.max(track.memoryMost, track.memoryBytes)
  }
}

function newTrack(host: string, epoch: number, cpuUsec: number, memoryBytes: number, nowMs: number): Track {
  return {
    host,
    epoch,
    cpuUsec,
    readAtMs: nowMs,
    seenAtMs: nowMs,
    firstAtMs: nowMs,
    memoryBytes,
    bucket: Math.floor(nowMs / bucketMs),
    weightMs: 0,
    cpuUsecOfBucket: 0,
    memoryMost: 0,
    ring: new Float64Array(0),
    next: 0,
    count: 0,
  }
}

function closeBucket(track: Track, bucket: number): void {
  const sample = current(track)
  if (sample) {
    grow(track)
    track.ring.set([sample.atMs, sample.cpuMilli, sample.memoryBytes], track.next * 3)
    track.next = (track.next + 1) % buckets
    track.count = Math.min(track.count + 1, buckets)
  }
  Object.assign(track, { bucket, weightMs: 0, cpuUsecOfBucket: 0, memoryMost: 0 })
}

/** Most containers of a test or a build live for minutes: their rings stay small. */
function grow(track: Track): void {
  const capacity = track.ring.length / 3
  if (track.next < capacity || capacity === buckets) return
  const ring = new Float64Array(Math.min(buckets, Math.max(4, capacity * 2)) * 3)
  ring.set(track.ring)
  track.ring = ring
}

function current({ weightMs, cpuUsecOfBucket, memoryMost, readAtMs }: Track): Sample | null {
  if (weightMs === 0) return null
  return { atMs: readAtMs, cpuMilli: cpuUsecOfBucket / weightMs, memoryBytes: memoryMost }
}

function samplesOf(track: Track): Sample[] {
  const samples: Sample[] = []
  for (let at = 0; at < track.count; at++) {
    const [atMs, cpuMilli, memoryBytes] = track.ring.subarray(at * 3, at * 3 + 3) as unknown as [number, number, number]
    samples.push({ atMs, cpuMilli, memoryBytes })
  }
  const now = current(track)
  if (now) samples.push(now)
  return samples
}
