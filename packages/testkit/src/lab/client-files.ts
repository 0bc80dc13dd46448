// What a person at a laboratory uses: a configuration of the command line for its cluster, and a `drover` that has it.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { programs } from '@drover/cli/daemons'

export function writeClient(directory: string, endpoints: string[], secret: string): void {
  const configuration = join(directory, 'client.json')
  writeFileSync(configuration, `${JSON.stringify({ endpoints, secret }, null, 2)}\n`, { mode: 0o600 })
  const wrapper = `#!/bin/sh\nexport DROVER_CONFIG='${configuration}'\nexec '${process.execPath}' '${programs.cli}' "$@"\n`
  mkdirSync(join(directory, 'bin'), { recursive: true })
  writeFileSync(join(directory, 'bin', 'drover'), wrapper, { mode: 0o755 })
}
