// Pid files that can be trusted: they hold the process's start time and the boot as well, so that a pid which the kernel has given
// to another process since is never mistaken for ours, and never killed. One boot is much like the next, in pids and in time.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'

export interface ProcessIdentity {
  pid: number
  /** Start of the process in clock ticks since boot: field 22 of /proc/PID/stat. */
  startTicks: number
}

/** The identity of a live process; null when there is none, or only a zombie is left of it. */
export function identify(pid: number): ProcessIdentity | null {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return null
  }
  // The command name stands in parentheses and may hold anything, so the fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  if (state === 'Z' || state === 'X') return null
  return { pid, startTicks: Number(fields[19]) }
}

export function isAlive(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.startTicks === identity.startTicks
}

/** `stopping`: it has been told to end. */
export function writePidFile(path: string, identity: ProcessIdentity, { stopping = false } = {}): void {
  const text = JSON.stringify({ ...identity, boot: bootId(), ...(stopping ? { stopping } : {}) })
  writeFileSync(path, `${text}\n`, { mode: 0o600 })
}

/** Whether that was written there; a file that can't be read says nothing. */
export function isStopping(path: string): boolean {
  try {
    return (JSON.parse(readFileSync(path, 'utf8')) as { stopping?: boolean }).stopping === true
  } catch {
    return false
  }
}

/** The process a pid file speaks of, if it still lives. */
export function readPidFile(path: string): ProcessIdentity | null {
  try {
    const { pid, startTicks, boot } = JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity & { boot?: string }
    if (boot !== undefined && boot !== bootId()) return null
    return Number.isInteger(pid) && pid > 1 && isAlive({ pid, startTicks }) ? { pid, startTicks } : null
  } catch {
    return null
  }
}

/** One boot's number; the next has another. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()

export function removePidFile(path: string): void {
  rmSync(path, { force: true })
}

/** Signals exactly this process; false when it is gone already. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  if (!isAlive(identity)) return false
  try {
    process.kill(identity.pid, signal)
    return true
  } catch {
    return false
  }
}
