// The client outside, a program in the client's namespace: `main KIND ARGUMENT…` opens its connections, then answers each line on stdin
// with lines and a blank one: `ok`, or what is wrong.

import { createInterface } from 'node:readline'
import { blpopClient } from './blpop-client.ts'
import { httpClient } from './http-client.ts'
import { lineClient } from './line-client.ts'
import { pgbenchClient } from './pgbench-client.ts'
import { shellClient } from './shell-client.ts'

/** Asked by each line; what is wrong is thrown. */
export type Check = () => Promise<void>

const kinds: Record<string, (args: string[]) => Promise<Check>> = {
  blpop: blpopClient,
  http: httpClient,
  lines: lineClient,
  pgbench: pgbenchClient,
  shell: shellClient,
}

const [kind = '', ...args] = process.argv.slice(2)
const check = kinds[kind]?.(args)
check?.catch(() => {})

for await (const _line of createInterface({ input: process.stdin })) {
  try {
    if (check === undefined) throw new Error(`no client ${kind}`)
    await (await check)()
    process.stdout.write('ok\n\n')
  } catch (error) {
    process.stdout.write(`${(error as Error).message.replaceAll(/\s+/g, ' ')}\n\n`)
  }
}
process.exit(0)
