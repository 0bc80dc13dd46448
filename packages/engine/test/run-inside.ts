// A shell command in a container, and what it printed.

import type { ExecUser } from '@drover/protocol'
import type { EngineClient } from '../src/index.ts'

/** By root unless said otherwise; both outputs together, without the white space around them. */
export async function run(
  client: EngineClient,
  container: string,
  script: string,
  user: ExecUser | null = null,
): Promise<{ code: number; output: string }> {
  let output = ''
  const take = (data: Uint8Array) => {
    output += Buffer.from(data)
  }
  const session = await client.exec(
    { container, command: ['/bin/sh', '-c', script], environment: {}, directory: null, user, terminal: null },
    { onStdout: take, onStderr: take },
  )
  session.end()
  return { code: await session.exit, output: output.trim() }
}

/** Only what it printed, whatever its exit code. */
export async function sh(
  client: EngineClient,
  container: string,
  script: string,
  user: ExecUser | null = null,
): Promise<string> {
  return (await run(client, container, script, user)).output
}
