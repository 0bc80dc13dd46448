// crun and runc: `run --detach` of a bundle from their own `spec`, with the same seven namespaces and the same uid range. They make an
// empty network (only the loopback comes up), which is less than the others do.

import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BenchHost, init, peerUid } from './bench-host.ts'
import { type Runtime, spawnTimed } from './runtime.ts'

interface Bundle {
  process: { terminal: boolean; args: string[] }
  root: { path: string; readonly: boolean }
  linux: {
    namespaces: { type: string }[]
    uidMappings: unknown[]
    gidMappings: unknown[]
    cgroupsPath: string
    resources: object
  }
}

/** crun refuses version 1 beside a cgroup2 that has any controller: both see version 1 alone where there is version 1. */
export const hideUnified = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  '[ ! -d /sys/fs/cgroup/unified ] || umount /sys/fs/cgroup/unified; exec "$@"',
  'sh',
]

export function ociRuntime(host: BenchHost, program: 'crun' | 'runc'): Runtime {
  const parent = join(host.directory, program)
  const name = (serial: number) => `${program}-${serial}`
  const bundle = (serial: number) => join(parent, name(serial))
  const root = ['--root', join('/run', program)]
  return {
    name: program,
    network: 'loopback only',
    prepare: async (serial) => {
      await mkdir(bundle(serial), { recursive: true })
      await host.must([program, 'spec', '--bundle', bundle(serial)])
      adapt(host, join(bundle(serial), 'config.json'), name(serial))
    },
    start: async (serial) => {
      const files = ['--pid-file', join(bundle(serial), 'pid'), '--bundle', bundle(serial)]
      return (await spawnTimed(host, [program, ...root, 'run', '--detach', ...files, name(serial)], hideUnified))
        .beforeMs
    },
    stampFile: () => join(host.shiftedRootfs, 'started'),
    reach: (serial) => join(bundle(serial), 'pid'),
    kill: async (serial) => {
      const { beforeMs, afterMs } = await spawnTimed(
        host,
        [program, ...root, 'delete', '--force', name(serial)],
        hideUnified,
      )
      return afterMs - beforeMs
    },
    remove: async (serial) => void (await rm(bundle(serial), { recursive: true, force: true })),
  }
}

function adapt(host: BenchHost, file: string, name: string): void {
  const bundle = JSON.parse(readFileSync(file, 'utf8')) as Bundle
  bundle.process.terminal = false
  bundle.process.args = init
  bundle.root = { path: host.shiftedRootfs, readonly: false }
  for (const type of ['user', 'cgroup']) {
    if (!bundle.linux.namespaces.some((namespace) => namespace.type === type)) bundle.linux.namespaces.push({ type })
  }
  const mapping = [{ containerID: 0, hostID: peerUid, size: 65_536 }]
  bundle.linux.uidMappings = mapping
  bundle.linux.gidMappings = mapping
  bundle.linux.cgroupsPath = `/${name}`
  writeFileSync(file, JSON.stringify(bundle))
}
