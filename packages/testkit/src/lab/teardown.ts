// Takes a laboratory down by its state file alone: every process, cgroup, link and file of it. The namespaces and the mounts
// in them go with the last process. Used by the owner, by the guardian when the owner died, and by the sweep.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type ProcessIdentity, pidFile, readPidFile, signalProcess, waitUntil } from '@drover/cli/daemons'
import { killAllIn, removeCgroups } from './cgroups.ts'
import { run } from './run.ts'
import { type LabState, removeState } from './state-file.ts'

/** Killing hundreds of containers and freeing their namespaces takes seconds at worst. */
const killDeadlineMs = 30_000
const removeDeadlineMs = 15_000
/** Three distributions are a hundred thousand files; beside other work on the same disk that has taken more than three minutes. */
const rmDeadlineMs = 600_000

export interface TeardownOptions {
  /** Keeps the directories, with all logs, for a look afterwards. */
  keepFiles?: boolean
}

export async function teardown(state: LabState, options: TeardownOptions = {}): Promise<void> {
  await killDaemons(state)
  if (state.cgroups.length > 0) await killAllIn(state.cgroups, killDeadlineMs)
  for (const holder of Object.values(state.holders)) signalProcess(holder, 'SIGKILL')
  if (state.cgroups.length > 0) await removeCgroups(state.cgroups, removeDeadlineMs)
  if (options.keepFiles !== true) {
    // A whole distribution is tens of thousands of files, which node removes many times more slowly.
    if (state.directories.length > 0) await run('rm', ['-rf', '--', ...state.directories], { deadlineMs: rmDeadlineMs })
  }
  // The link goes last: without it, whatever still calls this network's addresses would ask the world outside.
  for (const link of state.links) {
    if (existsSync(`/sys/class/net/${link}`)) await run('ip', ['link', 'delete', link])
  }
  removeState(state.id)
}

/** Without cgroups (no root) the daemons are known by their pid files alone. */
async function killDaemons(state: LabState): Promise<void> {
  const daemons = state.directories.flatMap(daemonProcesses)
  for (const daemon of daemons) signalProcess(daemon, 'SIGKILL')
  await waitUntil(
    'the daemons to end',
    killDeadlineMs,
    () => !daemons.some((daemon) => signalProcess(daemon, 'SIGKILL')),
  )
}

/** The live daemons below a laboratory's directory: <host>/<kind>/pid. */
export function daemonProcesses(directory: string): ProcessIdentity[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true })
    .filter((host) => host.isDirectory())
    .flatMap((host) => ['nats', 'engine', 'controller', 'agent'].map((kind) => join(directory, host.name, kind)))
    .map((daemon) => readPidFile(pidFile(daemon)))
    .filter((identity) => identity !== null)
}
