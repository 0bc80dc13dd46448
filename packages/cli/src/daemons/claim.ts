// Who starts a daemon when several would at once. Each puts down a ticket, an empty file whose name says of which process it is, and looks for
// those of others: of two that look, one at least sees the other. Whoever sees one that lives takes its own back and asks again later.
// The ticket of a process that was killed is in nobody's way, and to remove it can't take a claim from anyone: no other process has that name.

import { closeSync, openSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { bootId, identify, isAlive, type ProcessIdentity } from './pid-file.ts'

/** False while another process that lives has it, or asks for it this very moment; or this one has it already. */
export function takeClaim(path: string): boolean {
  const own = ticketOf(path)
  try {
    closeSync(openSync(own, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  if (!isWanted(path, basename(own))) return true
  rmSync(own, { force: true })
  return false
}

/** Only by who has it. */
export function giveClaimBack(path: string): void {
  rmSync(ticketOf(path), { force: true })
}

function ticketOf(path: string): string {
  const { pid, startTicks } = identify(process.pid) as ProcessIdentity
  return `${path}.${pid}.${startTicks}.${bootId()}`
}

/** By anyone else. */
function isWanted(path: string, own: string): boolean {
  const prefix = `${basename(path)}.`
  const others = readdirSync(dirname(path)).filter((name) => name.startsWith(prefix) && name !== own)
  const dead = others.filter((name) => !lives(name.slice(prefix.length)))
  for (const name of dead) rmSync(join(dirname(path), name), { force: true })
  return dead.length < others.length
}

function lives(ticket: string): boolean {
  const [pid, startTicks, boot] = ticket.split('.')
  return boot === bootId() && isAlive({ pid: Number(pid), startTicks: Number(startTicks) })
}
