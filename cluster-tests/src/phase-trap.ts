// Catches the moment at which a migration enters a phase, as a controller that does not lead sees it, so that the stories can
// kill something exactly then. Set before the move is asked for: events that come in between are replayed.

import { DroverClient } from '@drover/client'
import { type ClusterEvent, DroverError } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'

export interface PhaseTrap {
  /** Resolves with the event once it has come; TIMED_OUT after the deadline. */
  sprung: Promise<ClusterEvent>
  close(): void
}

const deadlineMs = 90_000

/** `phase` is a MigrationPhase, or any other event kind when it has a dot in it. `target`: null for any. */
export async function setTrap(
  lab: Lab,
  target: string | null,
  phase: string,
  spring: (event: ClusterEvent) => Promise<void> | void = () => {},
): Promise<PhaseTrap> {
  const leader = await lab.leader()
  const endpoint = lab.endpoints[lab.hosts.findIndex((host) => host.name !== leader)] ?? lab.endpoints[0]
  const client = new DroverClient({ endpoints: [endpoint as string], secret: lab.secret })
  const { appliedIndex } = await client.status()
  const kind = phase.includes('.') ? phase : `migration.${phase}`
  const stop = new AbortController()
  const timer = setTimeout(() => stop.abort(), deadlineMs)
  const sprung = (async () => {
    try {
      for await (const event of client.events({ after: appliedIndex, signal: stop.signal })) {
        if (event.kind !== kind || (target !== null && event.target !== target)) continue
        await spring(event)
        return event
      }
    } finally {
      clearTimeout(timer)
    }
    throw new DroverError('TIMED_OUT', `waited ${deadlineMs} ms for ${kind} of ${target ?? 'anything'}`)
  })()
  sprung.catch(() => {})
  return {
    sprung,
    close: () => {
      clearTimeout(timer)
      stop.abort()
    },
  }
}
