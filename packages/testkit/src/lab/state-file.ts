// What a laboratory has made on this machine, in a file, so that it can be removed even when its owner died: processes by
// pid and start time, cgroups, network links, directories. Written before each thing is made.

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installationRoot, type ProcessIdentity } from '@drover/cli/daemons'

export interface LabState {
  id: string
  owner: ProcessIdentity
  /** Second number of the laboratory's network: 10.X.0.0/16, or 127.X.0.0/16 without namespaces. */
  network: string
  /** One directory per cgroup hierarchy; all processes of the laboratory are in them or below. */
  cgroups: string[]
  /** Processes that hold namespaces, by member's name. */
  holders: Record<string, ProcessIdentity>
  /** Inode numbers of the namespaces made, as `net:[4026532…]`. */
  namespaces: string[]
  /** Links in the machine's own network namespace. */
  links: string[]
  /** Everything that it writes is below these. */
  directories: string[]
}

/** Where the state files of all laboratories of this installation are. */
export const labsDirectory = join(installationRoot, '.drover', 'labs')
export const stateFile = (id: string) => join(labsDirectory, `${id}.json`)

export function writeState(state: LabState): void {
  mkdirSync(labsDirectory, { recursive: true })
  const path = stateFile(state.id)
  writeFileSync(`${path}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

export function readState(path: string): LabState | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LabState
  } catch {
    return null
  }
}

export function removeState(id: string): void {
  rmSync(stateFile(id), { force: true })
}

/** Every laboratory that has a state file, its owner alive or not. */
export function allStates(): LabState[] {
  if (!existsSync(labsDirectory)) return []
  return readdirSync(labsDirectory)
    .filter((file) => file.endsWith('.json'))
    .map((file) => readState(join(labsDirectory, file)))
    .filter((state) => state !== null)
}
