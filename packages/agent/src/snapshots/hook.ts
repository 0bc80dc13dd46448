// The command that a container wants run inside before a snapshot of it, e.g. to have a database write itself out. When it fails or takes too
// long, no snapshot is taken, and its own words say why.

import { type Assignment, DroverError } from '@drover/protocol'
import type { AgentParts } from '../parts.ts'
import type { Scope } from './scope.ts'

const hookDeadlineMs = 120_000
const keptOutputBytes = 600

export async function runHook(parts: AgentParts, assignment: Assignment, hook: string, scope: Scope): Promise<void> {
  const { container, name } = assignment
  let output = ''
  const keep = (data: Uint8Array) => {
    output = (output + Buffer.from(data).toString()).slice(-keptOutputBytes)
  }
  const user = { container, environment: {}, directory: null, user: null, terminal: null }
  const session = await parts.engine.exec(
    { ...user, command: ['/bin/sh', '-c', hook] },
    { onStdout: keep, onStderr: keep },
  )
  session.end()
  let late = false
  const timer = setTimeout(() => {
    late = true
    session.close()
  }, hookDeadlineMs)
  scope.defer(() => session.close())
  const code = await session.exit.catch(() => null)
  clearTimeout(timer)
  if (code === 0) return
  const end = late ? `did not end within ${hookDeadlineMs} ms` : code === null ? 'was cut off' : `ended with ${code}`
  throw new DroverError('HOOK_FAILED', `hook of ${name} before its snapshot ${end}: ${output.trim()}`)
}
