// podman: `run --detach` with crun, on a store of its own inside the laboratory, without a network; its conmon stays with each.

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type BenchHost, init, peerUid } from './bench-host.ts'
import { type Runtime, spawnTimed } from './runtime.ts'
import { hideUnified } from './runtime-oci.ts'

export function podmanRuntime(host: BenchHost): Runtime {
  const store = join(host.directory, 'podman')
  const name = (serial: number) => `podman-${serial}`
  const podman = [
    'podman',
    ...['--root', join(store, 'root'), '--runroot', '/run/podman-bench', '--tmpdir', '/run/podman-bench/tmp'],
    ...['--cgroup-manager', 'cgroupfs', '--events-backend', 'none', '--runtime', 'crun'],
  ]
  const mapping = ['--uidmap', `0:${peerUid}:65536`, '--gidmap', `0:${peerUid}:65536`]
  return {
    name: 'podman',
    network: 'loopback only',
    prepare: async () => void (await mkdir(store, { recursive: true })),
    start: async (serial) => {
      const options = [
        '--detach',
        // Its input is a pipe then: crun gives it to the container's user, and /dev/null is the whole machine's.
        '--interactive',
        '--name',
        name(serial),
        '--network',
        'none',
        '--log-driver',
        'none',
        '--ulimit',
        'nofile=1024:1024',
        '--ulimit',
        'nproc=4096:4096',
        ...mapping,
      ]
      const command = [...podman, 'run', ...options, '--rootfs', host.shiftedRootfs, ...init]
      return (await spawnTimed(host, command, hideUnified)).beforeMs
    },
    stampFile: () => join(host.shiftedRootfs, 'started'),
    reach: (serial) => join(store, `${name(serial)}.pid`),
    kill: async (serial) => {
      const { beforeMs, afterMs } = await spawnTimed(
        host,
        [...podman, 'rm', '--force', '--time', '0', name(serial)],
        hideUnified,
      )
      return afterMs - beforeMs
    },
    remove: async () => {},
  }
}
