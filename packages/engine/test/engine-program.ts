// The native engine that the tests of this machine start, or why they can't.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const repository = fileURLToPath(new URL('../../..', import.meta.url))
export const binary = process.env.DROVER_ENGINE ?? join(repository, 'native/engine/build/drover-engine')

export const reasonToSkip: string | false =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync(binary)
      ? `needs the native engine: ${binary} is not built`
      : !existsSync('/bin/busybox') && 'needs /bin/busybox (package busybox-static)'
