// Programs of the workload image (an SSH client, pgbench) run outside the container: in the image's files, with the machine's /dev and
// a /run of their own, in a mount namespace that goes with them.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { WorkloadContainer } from './workload-container.ts'

const enter = `mount --rbind /dev "$0/dev" && mount -t tmpfs tmpfs "$0/run" &&
{ [ -z "$1" ] || { cp "$1" "$0/run/key" && chmod 600 "$0/run/key"; } } && shift && exec chroot "$0" env TERM=xterm LC_ALL=C "$@"`

/** The command that runs `command` of the image; `keyFile` becomes /run/key, unless it is empty. */
export function imageTool({ imageFiles }: WorkloadContainer, keyFile: string, command: string[]): string[] {
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', enter, imageFiles, keyFile, ...command]
}

/** Makes a key that root of the container accepts; its private half in a file outside. */
export async function writeKey(container: WorkloadContainer): Promise<string> {
  const path = join(container.lab.directory, `key-of-${container.name}`)
  const key = await container.sh(
    'mkdir -p -m 700 /root/.ssh && ssh-keygen -q -t ed25519 -N "" -f /run/key && cat /run/key.pub >>/root/.ssh/authorized_keys && cat /run/key',
  )
  writeFileSync(path, key, { mode: 0o600 })
  return path
}
