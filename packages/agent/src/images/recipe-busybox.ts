// The embedded default image: a whole small system from Debian's static busybox, made in about a second without network. Its
// init runs syslogd, crond, a web server on port 80 and `pulse` on port 7000 (native/image-tools/pulse.c: a counter that lives
// only in memory, for proofs that a container was moved and not restarted). It mounts nothing: the engine has.

import { execFile } from 'node:child_process'
import { constants, existsSync } from 'node:fs'
import { access, chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { DroverError } from '@drover/protocol'
import type { Recipe } from './recipe.ts'

/** The system's; without root, the one that the bootstrap unpacked. */
const busyboxPaths = [
  '/bin/busybox',
  '/usr/bin/busybox',
  fileURLToPath(new URL('../../../../.drover/prefix/usr/bin/busybox', import.meta.url)),
]
const pulsePath = fileURLToPath(new URL('../../../../native/image-tools/build/pulse', import.meta.url))

const directories: [path: string, mode: number][] = [
  ['bin', 0o755],
  ['dev', 0o755],
  ['etc', 0o755],
  ['etc/init.d', 0o755],
  ['home', 0o755],
  ['mnt', 0o755],
  ['proc', 0o555],
  ['root', 0o700],
  ['run', 0o755],
  ['sbin', 0o755],
  ['sys', 0o555],
  ['tmp', 0o1777],
  ['usr', 0o755],
  ['usr/bin', 0o755],
  ['usr/sbin', 0o755],
  ['var', 0o755],
  ['var/log', 0o755],
  ['var/spool', 0o755],
  ['var/spool/cron', 0o755],
  ['var/spool/cron/crontabs', 0o700],
  ['var/tmp', 0o1777],
  ['www', 0o755],
]

const files: Record<string, string> = {
  'etc/inittab': [
    '::sysinit:/etc/init.d/rcS',
    '::respawn:/sbin/syslogd -n',
    '::respawn:/usr/sbin/crond -f -c /var/spool/cron/crontabs',
    '::respawn:/usr/sbin/httpd -f -p 80 -h /www',
    '::respawn:/usr/bin/pulse 7000',
    '::restart:/sbin/init',
    '::ctrlaltdel:/sbin/reboot',
    '',
  ].join('\n'),
  'etc/init.d/rcS': '#!/bin/sh\n[ -f /etc/hostname ] && hostname -F /etc/hostname 2>/dev/null\nexit 0\n',
  'etc/passwd': [
    'root:*:0:0:root:/root:/bin/sh',
    'daemon:*:1:1:daemon:/:/bin/false',
    'nobody:*:65534:65534:nobody:/:/bin/false',
    '',
  ].join('\n'),
  'etc/group': ['root:x:0:', 'daemon:x:1:', 'tty:x:5:', 'nogroup:x:65534:', ''].join('\n'),
  'etc/profile': "export PATH=/bin:/sbin:/usr/bin:/usr/sbin\nexport PS1='\\u@\\h:\\w\\$ '\n",
  'etc/os-release': 'ID=drover-busybox\nNAME="drover busybox"\nPRETTY_NAME="drover busybox system container"\n',
  'etc/issue': 'drover busybox system container\n',
  'www/index.html':
    '<!doctype html><title>drover</title><h1>It runs.</h1><p>A busybox system container on drover.</p>\n',
}

export const busyboxRecipe: Recipe = {
  init: ['/sbin/init'],
  owners: 'root',
  async fill(rootfs, progress) {
    const busybox = await findBusybox()
    await requireFile(
      pulsePath,
      'the pulse service is not built (deploy/bootstrap builds it from native/image-tools/pulse.c)',
    )
    progress(`copying ${busybox}`)
    for (const [path, mode] of directories) {
      await mkdir(join(rootfs, path))
      await chmod(join(rootfs, path), mode)
    }
    await install(busybox, join(rootfs, 'bin/busybox'))
    await install(pulsePath, join(rootfs, 'usr/bin/pulse'))
    await linkApplets(busybox, rootfs)
    for (const [path, text] of Object.entries(files)) {
      await writeFile(join(rootfs, path), text)
      await chmod(join(rootfs, path), text.startsWith('#!') ? 0o755 : 0o644)
    }
  },
}

async function findBusybox(): Promise<string> {
  const found = busyboxPaths.find((path) => existsSync(path))
  if (found) return found
  throw new DroverError(
    'ENGINE_FAILED',
    `build image busybox: ${busyboxPaths[0]} is missing; install the package busybox-static`,
  )
}

async function install(from: string, to: string): Promise<void> {
  await copyFile(from, to)
  await chmod(to, 0o755)
}

async function linkApplets(busybox: string, rootfs: string): Promise<void> {
  const { stdout } = await promisify(execFile)(busybox, ['--list-full'], { timeout: 10_000 })
  const applets = stdout.split('\n').filter((path) => /^(usr\/)?s?bin\/[^/]+$/.test(path) && path !== 'bin/busybox')
  if (!applets.includes('sbin/init')) {
    throw new DroverError(
      'ENGINE_FAILED',
      `build image busybox: ${busybox} has no init applet; install the package busybox-static`,
    )
  }
  for (const applet of applets) {
    await mkdir(dirname(join(rootfs, applet)), { recursive: true })
    await symlink('/bin/busybox', join(rootfs, applet))
  }
}

async function requireFile(path: string, otherwise: string): Promise<void> {
  try {
    await access(path, constants.X_OK)
  } catch (cause) {
    throw new DroverError('ENGINE_FAILED', `build image busybox: ${otherwise}`, { cause })
  }
}
