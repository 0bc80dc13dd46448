// What this host offers, and what its containers use. Measured from the machine unless the configuration says it; a part of the
// memory stays with the host itself.

import { statfsSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { EngineContainer } from '@drover/engine'
import { pidsOfHost, type Resources } from '@drover/protocol'

/** Kept for the kernel, the engine, the agent and the page cache that they live by. */
const reservedMemoryBytes = 512 << 20

/** `leftoverBytes`: of the disk, what is given back when it is needed. */
export function machineCapacity(dataDirectory: string, leftoverBytes = 0): Resources {
  const disk = statfsSync(dataDirectory)
  return {
    cpuMilli: cpus().length * 1000,
    memoryBytes: Math.max(0, totalmem() - reservedMemoryBytes),
    diskBytes: disk.bavail * disk.bsize + leftoverBytes,
    pids: pidsOfHost,
  }
}

/** Sums of the engine's lists; CPU is what was used between the last two, as thousandths of a core. */
export class UsageMeter {
  #cpuUsec = new Map<string, number>()
  #listedAtMs = performance.now()
  #cpuMilli = 0

  listed(containers: EngineContainer[], nowMs = performance.now()): void {
    let used = 0
    for (const { container, cpuUsec } of containers)
      used += Math.max(0, cpuUsec - (this.#cpuUsec.get(container) ?? cpuUsec))
    this.#cpuUsec = new Map(containers.map(({ container, cpuUsec }) => [container, cpuUsec]))
    this.#cpuMilli = Math.round(used / Math.max(1, nowMs - this.#listedAtMs))
    this.#listedAtMs = nowMs
  }

  used(containers: EngineContainer[]): Resources {
    const sum = (of: (container: EngineContainer) => number) => containers.reduce((total, one) => total + of(one), 0)
    return {
      cpuMilli: this.#cpuMilli,
      memoryBytes: sum((one) => one.memoryBytes),
      diskBytes: 0,
      pids: sum((one) => one.processes),
    }
  }
}
