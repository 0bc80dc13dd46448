// Where the parts of this installation are: the daemons' programs, and the CRIU that the set-up chose.

import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export type EngineKind = 'native' | 'simulated'

/** Root of the installation: this file is packages/cli/dist/daemons/installation.js in it (or src/ when run by tsx). */
export const installationRoot = resolve(fileURLToPath(new URL('../../../..', import.meta.url)))

const at = (...parts: string[]) => join(installationRoot, ...parts)

export const programs = {
  nativeEngine: at('native', 'engine', 'build', 'drover-engine'),
  simulatedEngine: at('packages', 'testkit', 'dist', 'simulated-engine', 'main.js'),
  controller: at('packages', 'controller', 'dist', 'main.js'),
  agent: at('packages', 'agent', 'dist', 'main.js'),
  cli: at('packages', 'cli', 'bin', 'drover.js'),
  raftAddon: at('native', 'raft', 'build', 'drover_raft.node'),
} as const

/** nats-server: the system's, else the one that the bootstrap put into a private prefix for users without root. */
export function findNatsServer(): string | null {
  const directories = [
    ...(process.env.PATH ?? '').split(':').filter((d) => d !== ''),
    '/usr/sbin',
    '/usr/local/bin',
    at('.drover', 'prefix', 'usr', 'sbin'),
    at('.drover', 'nats', 'usr', 'sbin'),
    at('.drover', 'nats-server', 'usr', 'sbin'),
  ]
  return directories.map((d) => join(d, 'nats-server')).find(isExecutable) ?? null
}

export interface CriuChoice {
  path: string | null
  version: string | null
  usable: boolean
  reason: string
}

/** What deploy/criu found out by its self-test. */
export function criuChoice(): CriuChoice {
  for (const file of [at('.drover', 'criu', 'choice.json'), '/var/lib/drover/criu/choice.json']) {
    if (!existsSync(file)) continue
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as CriuChoice
    } catch (error) {
      return { path: null, version: null, usable: false, reason: `${file} cannot be read: ${(error as Error).message}` }
    }
  }
  return { path: null, version: null, usable: false, reason: 'no CRIU was chosen yet: run deploy/bootstrap' }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
