// A tiny busybox image for tests of moves: init, and a server on port 7000 that sends each client `<pid> <count>` lines. The
// count lives only in the memory of the shell that serves the connection, so it tells whether a process was really kept.

import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const applets = [
  'sh',
  'init',
  'nc',
  'ls',
  'cat',
  'ps',
  'sleep',
  'usleep',
  'unshare',
  'setsid',
  'poweroff',
  'kill',
  'touch',
  'rm',
  'tail',
  'mkdir',
  'ln',
]

export function makeMigrationImage(directory: string): void {
  for (const folder of ['bin', 'sbin', 'etc', 'proc', 'sys', 'dev', 'run', 'tmp', 'root', 'var/log', 'srv']) {
    mkdirSync(join(directory, folder), { recursive: true })
  }
  copyFileSync('/bin/busybox', join(directory, 'bin/busybox'))
  for (const applet of applets) symlinkSync('busybox', join(directory, 'bin', applet))
  symlinkSync('../bin/busybox', join(directory, 'sbin/init'))
  writeFileSync(join(directory, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(directory, 'etc/group'), 'root:x:0:\n')
  writeFileSync(join(directory, 'etc/inittab'), '::respawn:/bin/nc -ll -p 7000 -e /srv/count\n')
  writeFileSync(
    join(directory, 'srv/count'),
    '#!/bin/sh\ncount=0\nwhile echo "$$ $count"; do count=$((count + 1)); usleep 5000; done\n',
  )
  chmodSync(join(directory, 'srv/count'), 0o755)
}
