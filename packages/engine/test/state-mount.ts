// File systems for the state of one test host: a tmpfs, or an ext4, perhaps with project quotas, in a file beside it. Not every kernel has those
// (CONFIG_QFMT_V2), and a machine needs loop devices for it: it is tried.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type StateFileSystem = 'tmpfs' | 'ext4' | 'quotas'

/** What one in a file has room for in all. */
const stateBytes = 192 << 20

export function mountState(directory: string, kind: StateFileSystem): void {
  if (kind === 'tmpfs') {
    run('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'state', directory])
    return
  }
  const file = `${directory}.ext4`
  run('truncate', ['-s', String(stateBytes), file])
  const quotas = kind === 'quotas'
  run('mkfs.ext4', ['-q', '-I', '256', ...(quotas ? ['-O', 'quota,project'] : []), '-m', '0', file])
  run('mount', ['-o', quotas ? 'loop,prjquota' : 'loop', file, directory])
  rmSync(join(directory, 'lost+found'), { recursive: true })
}

/** False: there can be one with quotas here. */
export function whyNoQuotas(): string | false {
  const directory = mkdtempSync(join(tmpdir(), 'drover-quotas-'))
  const state = join(directory, 'state')
  try {
    run('mkdir', [state])
    mountState(state, 'quotas')
    run('umount', [state])
    return false
  } catch (error) {
    return `no file system with project quotas here: ${(error as Error).message.split('\n')[1] ?? error}`
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

function run(program: string, args: string[]): void {
  const { PATH = '' } = process.env
  execFileSync(program, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATH: `${PATH}:/usr/sbin:/sbin` },
  })
}
