// `drover up --revive`: daemons that ended by themselves run again. What `drover down` stopped has no pid file and stays down, and so does
// what it is about to stop.

import { join } from 'node:path'
import { DroverError } from '@drover/protocol/plain'
import { type DaemonKind, endedByItself, startDaemon } from './daemon.ts'
import { kindsOf, nodeDaemons } from './node-daemons.ts'
import { readSettings } from './node-settings.ts'

/** The kinds that it started. One that doesn't start keeps no other from it. */
export async function revive(data: string): Promise<DaemonKind[]> {
  const settings = readSettings(data)
  if (settings === null)
    throw new DroverError('NOT_CONFIGURED', `drover up --revive: there is no cluster in ${data}; say drover up first`)
  const ended = kindsOf(settings).filter((kind) => endedByItself(join(data, kind)))
  if (ended.length === 0) return []
  const failures: unknown[] = []
  for (const daemon of nodeDaemons(data, settings).filter(({ kind }) => ended.includes(kind)))
    await startDaemon(daemon).catch((error) => failures.push(error))
  if (failures.length > 0) throw failures[0]
  return ended
}
