// A Debian system image with systemd and an SSH server, made by mmdebstrap from the mirror, suite and keys that the machine's own apt
// uses. Takes minutes and the network; progress is mmdebstrap's own last line. Host keys and the machine id are left out, since
// each container must have its own.

import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import { aptSource } from './apt-source.ts'
import type { Recipe } from './recipe.ts'
import { runCommand } from './run-command.ts'

const packages = [
  'systemd',
  'systemd-sysv',
  'dbus',
  'openssh-server',
  'iproute2',
  'procps',
  'iputils-ping',
  'ca-certificates',
  'less',
  'nano',
]
const buildDeadlineMs = 30 * 60_000

export const debianRecipe: Recipe = {
  init: ['/sbin/init'],
  owners: 'kept',
  fill: (rootfs, progress, signal) => fillDebian(rootfs, [], progress, signal),
}

/** The same system with more of the mirror's packages in it. */
export async function fillDebian(
  rootfs: string,
  morePackages: string[],
  progress: (message: string) => void,
  signal: AbortSignal,
): Promise<void> {
  if (process.getuid?.() !== 0) throw new DroverError('ENGINE_FAILED', 'build image debian: mmdebstrap needs root here')
  const source = aptSource()
  progress(`mmdebstrap ${source.suite}`)
  await runCommand(
    'unshare',
    [
      // Its mounts and processes go with it, however it ends.
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'mmdebstrap',
      '--mode=root',
      '--variant=minbase',
      '--format=directory',
      `--include=${[...packages, ...morePackages].join(',')}`,
      '--aptopt=Acquire::Languages "none"',
      '--dpkgopt=path-exclude=/usr/share/man/*',
      '--dpkgopt=path-exclude=/usr/share/doc/*',
      '--dpkgopt=path-exclude=/usr/share/locale/*',
      source.suite,
      rootfs,
      source.line,
    ],
    { deadlineMs: buildDeadlineMs, signal, onLine: (line) => progress(line.slice(0, 160)) },
  )
  await makeGeneric(rootfs)
}

async function makeGeneric(rootfs: string): Promise<void> {
  for (const type of ['rsa', 'ecdsa', 'ed25519']) {
    await rm(join(rootfs, `etc/ssh/ssh_host_${type}_key`), { force: true })
    await rm(join(rootfs, `etc/ssh/ssh_host_${type}_key.pub`), { force: true })
  }
  await writeFile(join(rootfs, 'etc/systemd/system/drover-host-keys.service'), hostKeysUnit)
  await writeFile(
    join(rootfs, 'etc/systemd/system-preset/10-drover.preset'),
    'enable drover-host-keys.service\n',
  ).catch(() => {})
  await runCommand(
    'ln',
    [
      '-sf',
      '../drover-host-keys.service',
      join(rootfs, 'etc/systemd/system/multi-user.target.wants/drover-host-keys.service'),
    ],
    {
      deadlineMs: 10_000,
    },
  )
  await writeFile(join(rootfs, 'etc/machine-id'), '')
  await rm(join(rootfs, 'etc/hostname'), { force: true })
  const resolv = join(rootfs, 'etc/resolv.conf')
  await rm(resolv, { force: true })
  // What must not differ between two builds of the same packages, or be different in each container.
  for (const path of [
    'var/log/apt',
    'var/log/dpkg.log',
    'var/log/bootstrap.log',
    'var/cache/apt',
    'var/lib/apt/lists',
    'var/cache/ldconfig/aux-cache',
  ]) {
    await rm(join(rootfs, path), { recursive: true, force: true })
  }
  if (readFileSync(join(rootfs, 'etc/debian_version'), 'utf8') === '')
    throw new DroverError('INTERNAL', 'build image debian: the result is empty')
}

const hostKeysUnit = `[Unit]
Description=SSH host keys of this container
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
`
