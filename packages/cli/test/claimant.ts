// A process that takes the claim of its first argument as often as its second says, and each time makes a file that must not be there: that
// is an error, by which it ends. Or for ever, without that file, until it is killed. See claim.test.ts.

import { closeSync, openSync, rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { giveClaimBack, takeClaim } from '../src/daemons/claim.ts'

const [path = '', times = 'for ever'] = process.argv.slice(2)
const most = times === 'for ever' ? Number.POSITIVE_INFINITY : Number(times)
for (let had = 0; had < most; had++) {
  while (!takeClaim(path)) await pause(1)
  if (times !== 'for ever') {
    closeSync(openSync(`${path}-held`, 'wx'))
    rmSync(`${path}-held`)
  }
  giveClaimBack(path)
  process.send?.(had)
}
// Else what leads to its parent keeps it.
process.disconnect?.()
