// The counter that lives only in a container's memory. It grows by one each tick while the container runs; it stands still
// while it is frozen, starts from zero when init starts, and goes on where it was after a checkpoint and restore.

import type { SimulatedMemory } from './record.ts'

export const pulseTickMs = 10

export function startPulse(nowMs: number): SimulatedMemory {
  return { pulseBase: 0, pulseSinceMs: nowMs }
}

export function pulseAt(memory: SimulatedMemory, nowMs: number): number {
  if (memory.pulseSinceMs === null) return memory.pulseBase
  return memory.pulseBase + Math.max(0, Math.floor((nowMs - memory.pulseSinceMs) / pulseTickMs))
}

export function freezePulse(memory: SimulatedMemory, nowMs: number): SimulatedMemory {
  return { ...memory, pulseBase: pulseAt(memory, nowMs), pulseSinceMs: null }
}

export function thawPulse(memory: SimulatedMemory, nowMs: number): SimulatedMemory {
  return memory.pulseSinceMs === null ? { ...memory, pulseSinceMs: nowMs } : memory
}
