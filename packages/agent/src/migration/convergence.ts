// How long would it stand still if it were frozen now, and is another round of sending memory ahead worth it? Pure. While a round is
// sent the container goes on writing, so the next round is what it wrote meanwhile: that is its dirty rate, and as long as memory is sent
// faster than it is written, rounds become shorter. What is left after the last one waits for the freeze.

export interface Round {
  bytes: number
  /** From the look at what was written to the last byte sent. */
  ms: number
  /** The same without the waits for a bandwidth limit, which doesn't hold during the blackout. */
  workMs: number
}

export interface Estimate {
  /** At which memory went over; null: nothing was sent that could tell. */
  bytesPerS: number | null
  /** Distinct memory that is written while it runs; null: not known before the second round. */
  dirtyBytesPerS: number | null
  /** What would have to be sent after the freeze. */
  restBytes: number
  blackoutMs: number
}

export interface Wishes {
  maxBlackoutMs: number | null
  /** Of a blackout with nothing to send. */
  fixedMs: number
  /** Written before what can be sent ahead, or never tracked: goes after the freeze in any case. */
  alwaysBytes: number
}

export type Verdict = 'another' | 'freeze' | 'too-long'

/** Sent within a few milliseconds even after the freeze: not worth another round. */
const fewBytes = 1 << 20
/** A round that is not smaller than this share of the one before shows that the container writes as fast as it is copied. */
const shrinking = 0.7
/** So many such rounds in a row, and a budget is out of reach; one could be a burst. */
const flatRounds = 2
const mostRounds = 8
/** With a budget more is tried before a move is given up. */
const mostRoundsForBudget = 20
/** From the last byte of a round to the freeze: the leader hears of it and says so. */
const handoverMs = 50
/** CRIU copies each page of the rest out of the process and, on the other side, into the new one: 1 GB/s each, measured. */
const copyBytesPerMs = 1e6
/** Before anything was sent: a gigabit. */
const usualBytesPerMs = 1e5
/** A round of fewer bytes says more about waiting than about the way. */
const tellingBytes = 256 << 10

export function estimateBlackout(rounds: readonly Round[], { fixedMs, alwaysBytes }: Wishes): Estimate {
  const bytesPerS = rateOf(rounds)
  const last = rounds.at(-1)
  const before = rounds.at(-2)
  const dirtyBytesPerS = last && before ? (1000 * last.bytes) / Math.max(1, before.ms) : null
  // Unknown after one round: as if all of it were written as fast as it is sent.
  const rest = !last ? 0 : before ? (last.bytes / Math.max(1, before.ms)) * (last.ms + handoverMs) : last.bytes
  const most = rounds.reduce((bytes, round) => Math.max(bytes, round.bytes), 0)
  const restBytes = Math.round(alwaysBytes + Math.min(rest, most))
  return { bytesPerS, dirtyBytesPerS, restBytes, blackoutMs: fixedMs + restBytes * msPerByte(bytesPerS) }
}

export function verdictOf(rounds: readonly Round[], estimate: Estimate, { maxBlackoutMs }: Wishes): Verdict {
  const last = rounds.at(-1)
  const fits = maxBlackoutMs === null || estimate.blackoutMs <= maxBlackoutMs
  if (!last || last.bytes <= fewBytes) return fits ? 'freeze' : 'too-long'
  if (maxBlackoutMs === null) return rounds.length < mostRounds && !isFlat(rounds, 1) ? 'another' : 'freeze'
  // One round alone doesn't tell what is written meanwhile.
  if (fits && rounds.length > 1) return 'freeze'
  return rounds.length < mostRoundsForBudget && !isFlat(rounds, flatRounds) ? 'another' : fits ? 'freeze' : 'too-long'
}

/** The last `count` rounds were no smaller than those before them. */
function isFlat(rounds: readonly Round[], count: number): boolean {
  if (rounds.length <= count) return false
  return rounds.slice(-count).every((round, index) => {
    const before = rounds[rounds.length - count + index - 1] as Round
    return round.bytes >= before.bytes * shrinking
  })
}

function rateOf(rounds: readonly Round[]): number | null {
  const telling = rounds.filter(({ bytes }) => bytes >= tellingBytes)
  const bytes = telling.reduce((sum, round) => sum + round.bytes, 0)
  const ms = telling.reduce((sum, round) => sum + round.workMs, 0)
  return bytes === 0 ? null : (1000 * bytes) / Math.max(1, ms)
}

/** The rest is dumped, sent and restored, one after the other. */
const msPerByte = (bytesPerS: number | null): number =>
  2 / copyBytesPerMs + 1 / (bytesPerS === null ? usualBytesPerMs : bytesPerS / 1000)
