// Chapter: a live move under traffic. A client outside holds a TCP connection all the while.

import type { Container, Operation } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import { milliseconds, rounded } from '../figures.ts'
import { Witness } from '../witness.ts'
import type { TourContext } from './context.ts'

export async function moveLive({ lab, client, narrator, figures, traveller, home }: TourContext): Promise<void> {
  narrator.chapter('A live move under traffic')
  const before = await client.container(traveller)
  const witness = await Witness.of(lab, before)
  if (lab.engine === 'native') {
    narrator.line(`A client outside the cluster streams from ${traveller} at ${address(before)}, a line every 10 ms.`)
  }
  const inside = await processesInside(lab, traveller)
  witness.mark()
  const destination = lab.hosts.find((host) => host.name !== home)?.name as string
  const code = await narrator.show(lab, ['move', traveller, destination])
  const after = await client.container(traveller)
  const verdict = await witness.verdict(after)
  witness.close()

  narrator.check(
    code === 0 && after.host === destination,
    `${traveller} runs on ${destination} now, epoch ${after.epoch}`,
  )
  narrator.check(
    after.identity.ipv4 === before.identity.ipv4 && after.identity.mac === before.identity.mac,
    `same address ${address(after)}, same MAC ${after.identity.mac}`,
  )
  const insideAfter = await processesInside(lab, traveller)
  narrator.check(
    insideAfter.length > 1 && inside.join() === insideAfter.join(),
    `same processes inside: ${insideAfter.join(', ')}`,
    `before: ${inside.join(', ')}; after: ${insideAfter.join(', ')}`,
  )
  narrator.check(after.starts === before.starts, `its init was not started again: ${age(after)} old`)
  narrator.check(
    verdict.unbroken,
    `${lab.engine === 'native' ? 'connection' : 'counter'} unbroken: ${verdict.detail}`,
    verdict.detail,
  )
  const operation = await lastMove(client.operations(), traveller)
  figures.phases = roundAll(operation?.migration?.figures ?? {})
  figures.blackout_client_ms = verdict.blackoutMs === null ? null : rounded(verdict.blackoutMs)
  if (verdict.blackoutMs !== null) narrator.line(`Blackout as the client saw it: ${milliseconds(verdict.blackoutMs)}`)
  narrator.line(`What it is made of: ${describeBlackout(figures.phases)}`)
}

/** `pid name` of the container's own processes, as seen from inside. */
async function processesInside(lab: Lab, name: string): Promise<string[]> {
  const outcome = await lab.cli(['exec', name, '--', 'ps', '-o', 'pid,comm'])
  if (outcome.code !== 0) return [`exec failed with ${outcome.code}: ${outcome.stderr.trim()}`]
  return outcome.stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => /^\d+$/.test(words[0] ?? '') && words.at(-1) !== 'ps')
    .map((words) => `${words[0]} ${words.at(-1)}`)
}

export async function lastMove(list: Promise<Operation[]>, container: string): Promise<Operation | undefined> {
  const moves = (await list).filter(({ kind, target }) => kind === 'move' && target === container)
  return moves.sort((left, right) => right.createdAtMs - left.createdAtMs)[0]
}

/** What a blackout is made of, in the order in which it happens; the rest are messages and the commit. */
export function describeBlackout(figures: Record<string, number>): string {
  const parts = [
    ['freeze', figures.freeze_ms],
    ['dump', figures.dump_ms],
    ['send', figures.transfer_ms],
    ['restore', figures.restore_call_ms ?? figures.restore_ms],
    ['thaw', (figures.attach_ms ?? 0) + (figures.thaw_ms ?? 0)],
  ] as const
  const known = parts.reduce((sum, [, value]) => sum + (value ?? 0), 0)
  const rest = Math.max(0, (figures.blackout_ms ?? known) - known)
  const told = parts.map(([name, value]) => `${name} ${milliseconds(value ?? 0)}`)
  return `${told.join(' · ')} · messages and commit ${milliseconds(rest)}`
}

/** Durations and sizes, rounded; moments in time mean nothing to a reader. */
export function roundAll(figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(figures)
      .filter(([key]) => !key.endsWith('AtNs'))
      .map(([key, value]) => [key, rounded(value)]),
  )
}

const address = (container: Container): string => container.identity.ipv4.split('/')[0] as string
const age = (container: Container): string =>
  `${Math.round((Date.now() - (container.startedAtMs ?? Date.now())) / 1000)} s`
