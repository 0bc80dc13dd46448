// What the kernel gives a host so many of, however much memory it has, and every container needs one of. Read once: an administrator who
// raises one restarts the agent.

import { readFileSync } from 'node:fs'
import type { HostFeatures } from '@drover/protocol'

type HostLimits = NonNullable<HostFeatures['limits']>

/** BR_MAX_PORTS of net/bridge/br_private.h is 1024, and the bridge counts from 1. */
const bridgePorts = 1023
/** The host's own links on the bridge: its way out, and what an administrator puts there. */
const keptPorts = 16
/** The host's own neighbours. */
const keptNeighbours = 16

export function hostLimits(read: (path: string) => string | null = readSetting): HostLimits {
  const neighbours = Number(read('net/ipv4/neigh/default/gc_thresh3') ?? Number.NaN)
  return {
    bridgePorts: bridgePorts - keptPorts,
    // Elsewhere than in the machine's own network namespace it isn't to be seen.
    ...(Number.isInteger(neighbours) ? { neighbourEntries: Math.max(0, neighbours - keptNeighbours) } : {}),
  }
}

function readSetting(path: string): string | null {
  try {
    return readFileSync(`/proc/sys/${path}`, 'utf8').trim()
  } catch {
    return null
  }
}
