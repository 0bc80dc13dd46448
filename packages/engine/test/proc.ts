// What /proc says of processes that come and go.

import { readFileSync } from 'node:fs'

/** Empty when the process, or the thread, has ended meanwhile. */
export function textOfProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8')
  } catch {
    return ''
  }
}

/** What a thread of a process has forked and not reaped. */
export function childrenOf(pid: number, thread: number | string = pid): number[] {
  return textOfProc(`${pid}/task/${thread}/children`).trim().split(' ').filter(Boolean).map(Number)
}
