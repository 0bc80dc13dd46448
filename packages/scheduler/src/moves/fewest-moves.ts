// The fewest moves that make the loads even enough. Small problems are searched through, one move deeper each time
// (iterative deepening), so the first depth that has an answer is the fewest; among those the cheapest is taken. What is
// too large for that is planned greedily, best move first, and then every move that turns out needless is dropped.
// Each move of a plan lowers the imbalance by itself: a plan that is broken off anywhere leaves the cluster better.

import { type ContainerSnapshot, type Use, useOf } from './container-snapshot.ts'
import type { Layout } from './layout.ts'
import type { LoadMap } from './load-map.ts'

export interface Step {
  container: ContainerSnapshot
  use: Use
  from: number
  to: number
  /** See LoadMap.gain; what its price leaves of it is worth the move. */
  gain: number
  price: number
}

export interface EvennessProblem {
  layout: Layout
  loads: LoadMap
  movable: readonly ContainerSnapshot[]
  /** Hosts that may take a container. */
  targets: readonly number[]
  /** Rules beyond room: cooldowns and the like. */
  allowed: (container: ContainerSnapshot, to: number) => boolean
  price: (container: ContainerSnapshot) => number
  minGain: number
  hotAbove: number
  settled: () => boolean
  /** So many moves are weighed before the search gives up. */
  searchSteps: number
}

/** Deeper searches outgrow any bound. */
const maxDepth = 4
/** A plan is made anew after each of its moves, so a longer one would not be carried out anyway. */
const maxGreedyMoves = 64
/** In large clusters only the hosts at the two ends of the scale are looked at. */
const manyHosts = 12
const endsOfScale = 8

/** Leaves `layout` and `loads` as they were. */
export function fewestMoves(problem: EvennessProblem): { steps: Step[]; exact: boolean } {
  if (problem.settled()) return { steps: [], exact: true }
  const exact = searchThrough(problem)
  if (exact !== null) return { steps: exact, exact: true }
  return { steps: withoutNeedless(problem, greedy(problem)), exact: false }
}

/** Null: no answer within the bounds. */
function searchThrough(problem: EvennessProblem): Step[] | null {
  const budget = { steps: problem.searchSteps }
  for (let depth = 1; depth <= maxDepth; depth++) {
    const best = { steps: null as Step[] | null, price: Number.POSITIVE_INFINITY }
    deepen(problem, depth, [], 0, best, budget)
    if (budget.steps < 0) return null
    if (best.steps !== null) return best.steps
  }
  return null
}

function deepen(
  problem: EvennessProblem,
  depth: number,
  path: Step[],
  price: number,
  best: { steps: Step[] | null; price: number },
  budget: { steps: number },
): void {
  budget.steps -= problem.movable.length * problem.targets.length
  if (budget.steps < 0) return
  const steps = worthwhile(problem, path)
  for (const step of steps) {
    if (budget.steps < 0) return
    if (price + step.price >= best.price) continue
    take(problem, step)
    path.push(step)
    if (depth > 1) deepen(problem, depth - 1, path, price + step.price, best, budget)
    else if (problem.settled()) {
      best.steps = [...path]
      best.price = price + step.price
    }
    path.pop()
    undo(problem, step)
  }
}

function greedy(problem: EvennessProblem): Step[] {
  const steps: Step[] = []
  while (steps.length < maxGreedyMoves && !problem.settled()) {
    let best: Step | null = null
    for (const step of worthwhile(problem, steps)) {
      if (best === null || step.gain - step.price > best.gain - best.price) best = step
    }
    if (best === null) break
    take(problem, best)
    steps.push(best)
  }
  for (const step of [...steps].reverse()) undo(problem, step)
  return steps
}

/** A large move made later can make an earlier one needless; the cheapest to keep out are tried last. */
function withoutNeedless(problem: EvennessProblem, steps: Step[]): Step[] {
  let kept = steps
  if (!settles(problem, kept)) return kept
  for (const step of [...steps].sort((left, right) => right.price - left.price)) {
    const fewer = kept.filter((each) => each !== step)
    if (settles(problem, fewer)) kept = fewer
  }
  return kept
}

/** Whether `steps`, one after the other, are all worthwhile and settle it. */
function settles(problem: EvennessProblem, steps: readonly Step[]): boolean {
  const taken: Step[] = []
  for (const step of steps) {
    const gain = problem.loads.gain(step.use, step.from, step.to)
    if (gain < leastGain(problem, step.from, step.price) || passesHeatOn(problem, step.use, step.from, step.to)) break
    if (!problem.layout.takes(step.container, step.to)) break
    take(problem, step)
    taken.push(step)
  }
  const result = taken.length === steps.length && problem.settled()
  for (const step of taken.reverse()) undo(problem, step)
  return result
}

/** Every move that is worth its price now; `path`: containers that the plan has moved already. */
function worthwhile(problem: EvennessProblem, path: readonly Step[]): Step[] {
  const { layout, loads, movable, allowed, price } = problem
  const moved = new Set(path.map(({ container }) => container))
  const targets = coldest(problem)
  const sources = hottest(problem)
  const steps: Step[] = []
  for (const container of movable) {
    const from = layout.whereIs(container)
    if (moved.has(container) || from < 0 || (sources !== null && !sources.has(from))) continue
    const use = useOf(container)
    const cost = price(container)
    for (const to of targets) {
      if (to === from) continue
      const gain = loads.gain(use, from, to)
      if (gain <= 0 || gain < leastGain(problem, from, cost) || passesHeatOn(problem, use, from, to)) continue
      if (!allowed(container, to) || !layout.takes(container, to)) continue
      steps.push({ container, use, from, to, gain, price: cost })
    }
  }
  return steps
}

/** A hot host is slow for all who are on it: what relieves it is worth its price. */
function leastGain({ loads, minGain, hotAbove }: EvennessProblem, from: number, price: number): number {
  return loads.utilisation(from) > hotAbove ? minGain : minGain + price
}

/** The target would be hot, and hotter than what the source is left with: that is no relief, only another hot host. */
function passesHeatOn({ loads, hotAbove }: EvennessProblem, use: Use, from: number, to: number): boolean {
  const after = loads.utilisationWith(to, use)
  if (after <= hotAbove) return false
  return after >= loads.utilisationWith(from, { cpuMilli: -use.cpuMilli, memoryBytes: -use.memoryBytes })
}

function coldest({ targets, loads, layout }: EvennessProblem): readonly number[] {
  if (layout.hosts.length <= manyHosts) return targets
  return [...targets]
    .sort((left, right) => loads.utilisation(left) - loads.utilisation(right) || left - right)
    .slice(0, endsOfScale)
}

/** Null: all. */
function hottest({ loads, layout }: EvennessProblem): Set<number> | null {
  if (layout.hosts.length <= manyHosts) return null
  const hosts = layout.hosts.map((_, index) => index)
  hosts.sort((left, right) => loads.utilisation(right) - loads.utilisation(left) || left - right)
  return new Set(hosts.slice(0, endsOfScale))
}

function take({ layout, loads }: EvennessProblem, { container, use, from, to }: Step): void {
  layout.move(container, to)
  loads.move(use, from, to)
}

function undo({ layout, loads }: EvennessProblem, { container, use, from, to }: Step): void {
  layout.move(container, from)
  loads.move(use, to, from)
}
