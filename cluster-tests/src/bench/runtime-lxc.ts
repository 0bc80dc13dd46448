// LXC: lxc-start with Debian's own common configuration, the same uid range, a veth on the same bridge.

import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BenchHost, init, peerUid } from './bench-host.ts'
import { type Runtime, spawnTimed } from './runtime.ts'
import { stopDeadlineMs } from './runtime-drover.ts'

const commonFiles = ['/usr/share/lxc/config/common.conf', '/usr/share/lxc/config/userns.conf']

export function lxcRuntime(host: BenchHost, rootfs = host.shiftedRootfs, command = init): Runtime {
  const parent = join(host.directory, 'lxc')
  const name = (serial: number) => `l${serial}`
  const ask = (program: string, serial: number, ...rest: string[]) =>
    spawnTimed(host, [program, '-n', name(serial), '-P', parent, ...rest])
  return {
    name: 'lxc',
    network: 'veth on the bridge, address',
    prepare: async (serial) => {
      await mkdir(join(parent, name(serial)), { recursive: true })
      await writeFile(join(parent, name(serial), 'config'), configuration(host, serial, rootfs, command))
    },
    start: async (serial) => (await ask('lxc-start', serial, '-d')).beforeMs,
    stampFile: () => join(rootfs, 'started'),
    reach: (serial) => host.address(serial),
    kill: async (serial) => {
      const { beforeMs, afterMs } = await ask('lxc-stop', serial, '-k')
      return afterMs - beforeMs
    },
    stop: async (serial) => {
      const { beforeMs, afterMs } = await ask('lxc-stop', serial, '--nokill', '-t', String(stopDeadlineMs / 1000))
      return afterMs - beforeMs
    },
    remove: async (serial) => void (await rm(join(parent, name(serial)), { recursive: true, force: true })),
  }
}

function configuration(host: BenchHost, serial: number, rootfs: string, command: string[]): string {
  return [
    ...commonFiles.filter((file) => existsSync(file)).map((file) => `lxc.include = ${file}`),
    `lxc.uts.name = l${serial}`,
    `lxc.rootfs.path = dir:${rootfs}`,
    `lxc.idmap = u 0 ${peerUid} 65536`,
    `lxc.idmap = g 0 ${peerUid} 65536`,
    'lxc.net.0.type = veth',
    'lxc.net.0.link = br0',
    'lxc.net.0.flags = up',
    `lxc.net.0.ipv4.address = ${host.address(serial)}/16`,
    'lxc.apparmor.allow_incomplete = 1',
    'lxc.cgroup.relative = 1',
    // systemd's own.
    'lxc.signal.halt = SIGRTMIN+3',
    `lxc.init.cmd = ${command.join(' ')}`,
    'lxc.log.level = ERROR',
    '',
  ].join('\n')
}
