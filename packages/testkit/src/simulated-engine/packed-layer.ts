// What the native engine does with a small layer (small_layer.h), by tar: an agent only carries the file.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'

/** False: tar can't carry sockets. */
export function packLayer(upper: string, file: string): boolean {
  const entries = readdirSync(upper, { withFileTypes: true, recursive: true })
  if (entries.some((entry) => entry.isSocket())) return false
  execFileSync('tar', ['--create', '--format=posix', '--file', file, '--directory', upper, '.'])
  return true
}

export function unpackLayer(upper: string, file: string): void {
  execFileSync('tar', ['--extract', '--same-permissions', '--file', file, '--directory', upper])
}
