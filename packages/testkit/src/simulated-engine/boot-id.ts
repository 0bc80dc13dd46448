// Which boot of the machine this is: what ran before another one does not run any more.

import { readFileSync } from 'node:fs'

export function currentBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}
