// How soon the leader is told that a side of a move has come to a step. Each report is work for every controller: what nobody stands still
// for goes together with what is said meanwhile. Pure.

import type { SessionStep } from './session.ts'

export interface StepSurroundings {
  /** Moves of this host that are under way. */
  underWay: number
  /** Processors of this host; the others are taken to be like it. */
  cores: number
  /** Whether another that is under way leaves this host for another destination. */
  othersGoElsewhere: boolean
  /** Its source goes on without word, so that the leader has nothing to say when this side, the destination, is prepared. */
  precopiedToAtOnce: boolean
}

/** As many moves wait for each other anyway; then their steps are told together. */
const busyMoves = 4
/** What the leader plans the next step by, but nobody stands still for: it goes with what is said meanwhile, or alone after this. */
const stepWithinMs = 25
const stepWhenBusyWithinMs = 75
/** What no plan waits for. */
export const restWithinMs = 250
/** Of fewer, hosts restore one container at a time (controller/src/core/planner-move.ts): what was sent frees only what goes to another one. */
const coresThatRestoreTwo = 4

/** In how many milliseconds at most; 0: at once. */
export function tellWithinMs(step: SessionStep, { underWay, cores, ...surroundings }: StepSurroundings): number {
  const busy = underWay >= busyMoves
  if (step === 'restored' || step === 'failed') return 0
  // Whoever asked for one move waits for its end.
  if (step === 'released' && !busy) return 0
  if (step === 'switched' && underWay > 1 && (surroundings.othersGoElsewhere || cores >= coresThatRestoreTwo)) return 0
  if (step === 'prepared' && surroundings.precopiedToAtOnce) return restWithinMs
  return busy ? stepWhenBusyWithinMs : stepWithinMs
}
