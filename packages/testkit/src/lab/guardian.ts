// Starts the guardian of a laboratory: a sleeping shell on the other end of a pipe, which takes the laboratory down when this
// process ends without having done so, be it by SIGKILL.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { shellDirectory } from './member.ts'
import { stateFile } from './state-file.ts'

export interface Guardian {
  /** The laboratory was taken down: there is nothing to guard. */
  dismiss(): void
}

export function startGuardian(id: string): Guardian {
  const program = fileURLToPath(new URL('./teardown-main.js', import.meta.url))
  const child = spawn('bash', [join(shellDirectory, 'guardian.sh'), process.execPath, program, stateFile(id)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    cwd: '/',
  })
  child.on('error', () => {})
  child.stdin.on('error', () => {})
  child.unref()
  ;(child.stdin as unknown as { unref(): void }).unref()
  return { dismiss: () => child.stdin.end('done\n') }
}
