// What this host can do, from its engine's greeting; before the engine has answered, nothing is claimed.

import { arch, release } from 'node:os'
import type { EngineHello } from '@drover/engine'
import type { HostFeatures } from '@drover/protocol'

export function hostFeatures(hello: EngineHello | null): HostFeatures {
  if (!hello) {
    return {
      engine: 'native',
      kernel: release(),
      architecture: arch(),
      cgroup: 'none',
      criu: { usable: false, path: null, version: null, reason: 'the engine has not answered yet' },
    }
  }
  const { kernel, architecture, cgroup, criu, version } = hello
  // The simulated engine names itself in its version: there is nothing else to tell the two apart by.
  return { engine: version.includes('simulated') ? 'simulated' : 'native', kernel, architecture, cgroup, criu }
}
