// A shell command in a container of a test host, and what it printed.

import type { EngineSpec } from '../src/index.ts'
import type { TestHost } from './native-hosts.ts'

export async function inside(host: TestHost, { container }: EngineSpec, script: string): Promise<string> {
  let output = ''
  const session = await host.client.exec(
    { container, command: ['/bin/sh', '-c', script], environment: {}, directory: null, user: null, terminal: null },
    {
      onStdout: (data) => {
        output += Buffer.from(data).toString()
      },
    },
  )
  await session.exit
  return output.trim()
}
