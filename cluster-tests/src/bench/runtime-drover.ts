// drover's engine, asked through its socket: network, cgroups with limits, overlay root, record on disk.

import { join } from 'node:path'
import type { EngineSpec } from '@drover/engine'
import { type BenchHost, init } from './bench-host.ts'
import { nowMs, type Runtime } from './runtime.ts'

const epoch = 1
export const stopDeadlineMs = 60_000
const name = (serial: number) => `c${serial}`

export function droverRuntime(host: BenchHost, rootfs = host.rootfs, command = init, cpuMilli = 1000): Runtime {
  return {
    name: 'drover',
    network: 'veth on the bridge, address',
    prepare: async (serial) =>
      void (await host.engine.call('create', { spec: specOf(host, serial, rootfs, command, cpuMilli) })),
    start: async (serial) => {
      const before = nowMs()
      await host.engine.call('start', { container: name(serial), epoch })
      return before
    },
    stampFile: (serial) => join(host.place.directory, 'containers', name(serial), 'upper/started'),
    reach: (serial) => host.address(serial),
    kill: async (serial) => {
      const before = nowMs()
      await host.engine.call('kill', { container: name(serial), epoch, signal: 9 })
      return nowMs() - before
    },
    stop: async (serial) => {
      const before = nowMs()
      await host.engine.call('stop', { container: name(serial), epoch, timeoutMs: stopDeadlineMs })
      return nowMs() - before
    },
    remove: async (serial) => void (await host.engine.call('delete', { container: name(serial), epoch })),
  }
}

function specOf(host: BenchHost, serial: number, rootfs: string, command: string[], cpuMilli: number): EngineSpec {
  const hex = (value: number) => (value & 255).toString(16).padStart(2, '0')
  return {
    container: name(serial),
    name: `bench-${serial}`,
    epoch,
    rootfs,
    init: command,
    environment: {},
    limits: { cpuMilli, memoryBytes: 512 * 2 ** 20, diskBytes: 0, pids: 1024 },
    identity: {
      serial,
      uidBase: 1_000_000 + serial * 65_536,
      mac: `02:be:00:00:${hex(serial >> 8)}:${hex(serial)}`,
      ipv4: `${host.address(serial)}/16`,
      gateway: null,
      machineId: serial.toString(16).padStart(32, '0'),
    },
  }
}
