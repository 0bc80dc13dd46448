// What a test asks the engine for when it doesn't care: a container of the image, without limits, in the network 10.NET.0.0/16.

import type { EngineLimits, EngineSpec } from '../src/index.ts'

export const noLimits: EngineLimits = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }

export function engineSpec(serial: number, net: number, rootfs: string, change: Partial<EngineSpec> = {}): EngineSpec {
  const hex = (number: number) => number.toString(16).padStart(2, '0')
  return {
    container: `c${serial}`,
    name: `web-${serial}`,
    epoch: 1,
    rootfs,
    init: ['/sbin/init'],
    environment: {},
    limits: noLimits,
    identity: {
      serial,
      uidBase: 1_000_000 + serial * 65_536,
      mac: `02:00:00:${hex(net)}:00:${hex(serial)}`,
      ipv4: `10.${net}.1.${serial}/16`,
      gateway: null,
      machineId: serial.toString(16).padStart(32, '0'),
    },
    ...change,
  }
}
