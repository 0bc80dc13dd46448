// A busybox image for tests of the engine: an init that writes to its console, a few applets, and traps for an engine that would
// follow links of an image out of its root.

import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const applets =
  'sh cat echo env false grep head hostname id ip kill ln ls mkdir mkfifo mount ping poweroff ps pwd readlink reboot rm sleep sort stat stty tail touch true tty usleep wc'

export function makeEngineImage(directory: string): void {
  for (const folder of ['bin', 'sbin', 'proc', 'sys', 'dev', 'tmp', 'root', 'var/log', 'usr/etc']) {
    mkdirSync(join(directory, folder), { recursive: true })
  }
  copyFileSync('/bin/busybox', join(directory, 'bin/busybox'))
  for (const applet of applets.split(' ')) symlinkSync('busybox', join(directory, 'bin', applet))
  symlinkSync('../bin/busybox', join(directory, 'sbin/init'))
  // A link as merged-usr distributions have them: it leads to a folder of the image, never of the host.
  symlinkSync('/usr/etc', join(directory, 'etc'))
  writeFileSync(join(directory, 'usr/etc/inittab'), '::sysinit:/bin/echo hello from init\n::respawn:/bin/sleep 1000\n')
  writeFileSync(join(directory, 'usr/etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
}
