// crun and runc: `run --detach` of a bundle from their own `spec`, with the same seven namespaces and the same uid range. They make an
// empty network (only the loopback comes up), which is less than the others do.

import { readFileSync, writeFileSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BenchHost, init, peerUid } from './bench-host.ts'
import { type Runtime, spawnTimed } from './runtime.ts'

interface System {
  rootfs: string
  command: string[]
  /** systemd: it needs more than one service does. */
  whole: boolean
}

interface Bundle {
  process: {
    terminal: boolean
    args: string[]
    env: string[]
    noNewPrivileges: boolean
    capabilities: Record<string, string[]>
  }
  mounts: { destination: string; type: string; source: string; options: string[] }[]
  root: { path: string; readonly: boolean }
  linux: {
    namespaces: { type: string }[]
    uidMappings: unknown[]
    gidMappings: unknown[]
    cgroupsPath: string
    resources: object
  }
  hooks?: { createRuntime: { path: string; args: string[] }[] }
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

/** SIGRTMIN+3: systemd's own. */
const haltSignal = '37'
/** They signal and leave: whoever wants to know the end looks for the process. */
const stopScript = 'pid=$(cat "$1"); shift; "$@" && exec tail -q -s 0.002 --pid "$pid" -f /dev/null'

export function ociRuntime(
  host: BenchHost,
  program: 'crun' | 'runc',
  system: System = { rootfs: host.shiftedRootfs, command: init, whole: false },
): Runtime {
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
      adapt(join(bundle(serial), 'config.json'), name(serial), system)
    },
    start: async (serial) => {
      const files = ['--pid-file', join(bundle(serial), 'pid'), '--bundle', bundle(serial)]
      return (await spawnTimed(host, [program, ...root, 'run', '--detach', ...files, name(serial)], hideUnified))
        .beforeMs
    },
    stampFile: () => join(system.rootfs, 'started'),
    reach: (serial) => join(bundle(serial), 'pid'),
    kill: async (serial) => {
      const { beforeMs, afterMs } = await spawnTimed(
        host,
        [program, ...root, 'delete', '--force', name(serial)],
        hideUnified,
      )
      return afterMs - beforeMs
    },
    stop: async (serial) => {
      const { beforeMs, afterMs } = await spawnTimed(
        host,
        ['sh', '-c', stopScript, 'sh', join(bundle(serial), 'pid'), program, ...root, 'kill', name(serial), haltSignal],
        hideUnified,
      )
      await host.must([...hideUnified, program, ...root, 'delete', '--force', name(serial)])
      return afterMs - beforeMs
    },
    remove: async (serial) => void (await rm(bundle(serial), { recursive: true, force: true })),
  }
}

function adapt(file: string, name: string, { rootfs, command, whole }: System): void {
  const bundle = JSON.parse(readFileSync(file, 'utf8')) as Bundle
  bundle.process.terminal = false
  bundle.process.args = command
  bundle.root = { path: rootfs, readonly: false }
  for (const type of ['user', 'cgroup']) {
    if (!bundle.linux.namespaces.some((namespace) => namespace.type === type)) bundle.linux.namespaces.push({ type })
  }
  const mapping = [{ containerID: 0, hostID: peerUid, size: 65_536 }]
  bundle.linux.uidMappings = mapping
  bundle.linux.gidMappings = mapping
  bundle.linux.cgroupsPath = `/${name}`
  if (whole) allowInit(bundle, name)
  writeFileSync(file, JSON.stringify(bundle))
}

/**
 * As systemd's container interface asks (systemd.io/CONTAINER_INTERFACE): cgroups that can be written, /run of its own, root's capabilities.
 * Neither runtime gives version 1's named hierarchy to the container's root, without which systemd ends before it begins: a hook does.
 */
function allowInit(bundle: Bundle, name: string): void {
  bundle.process.env.push('container=oci')
  bundle.process.noNewPrivileges = false
  for (const set of ['bounding', 'effective', 'permitted']) bundle.process.capabilities[set] = capabilities
  for (const mount of bundle.mounts) {
    if (mount.destination === '/sys/fs/cgroup') mount.options = mount.options.filter((option) => option !== 'ro')
  }
  for (const destination of ['/run', '/tmp'])
    bundle.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'nodev', 'mode=755'] })
  const args = ['sh', '-c', giveAway, 'sh', `/sys/fs/cgroup/systemd/${name}`, `${peerUid}:${peerUid}`]
  bundle.hooks = { createRuntime: [{ path: '/bin/sh', args }] }
}

const giveAway = '[ ! -d "$1" ] || exec /bin/chown -R "$2" "$1"'

const capabilities = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'SETFCAP'],
  ...[
    'NET_BIND_SERVICE',
    'NET_ADMIN',
    'NET_RAW',
    'SYS_ADMIN',
    'SYS_CHROOT',
    'SYS_PTRACE',
    'SYS_RESOURCE',
    'AUDIT_WRITE',
  ],
].map((name) => `CAP_${name}`)
