// What a figure was measured on, so that two of them can be compared.

import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { criuChoice } from '@drover/cli/daemons'

export interface Machine {
  kernel: string
  cpu: string
  cores: number
  memoryGiB: number
  node: string
  criu: string
  conntrackBuckets: number | null
}

export function describeMachine(): Machine {
  return {
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    criu: criuChoice().version ?? 'none',
    conntrackBuckets: readNumber('/proc/sys/net/netfilter/nf_conntrack_buckets'),
  }
}

function readNumber(path: string): number | null {
  try {
    return Number(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}
