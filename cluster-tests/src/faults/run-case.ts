// One fault case on a laboratory: a container with a client at it is moved, the move is held at the point, the victim is harmed (or the
// move cancelled), the move goes on, the victim comes back. Then the operation must have ended, and the container run once, with its memory,
// its connection and its disk as they were, and with no trace of container or move where none belongs.

import { setTimeout as pause } from 'node:timers/promises'
import type { Container, Operation } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import type { Story } from '../stories.ts'
import { tracesLeft } from '../traces.ts'
import { Witness } from '../witness.ts'
import type { FaultCase } from './cases.ts'
import { isCommitted, onTheWayBack, sideOf } from './points.ts'
import type { Subject } from './subject.ts'

export interface CaseOutcome {
  fault: FaultCase
  /** How the operation ended: `done`, or `aborted` with the code of its error. */
  outcome: string
  /** Longest silence that the client at the container saw, ms. */
  blackoutMs: number | null
  /** What should not be; empty when all is well. */
  problems: string[]
}

const reachDeadlineMs = 60_000
const endDeadlineMs = 120_000
const settleDeadlineMs = 60_000
const looks = 3
/** How long the harm lasts: longer than an election, shorter than any deadline of a migration. */
const harmMs = 2_000

/** A move under way, held at the point of its case. */
interface Held {
  story: Story
  fault: FaultCase
  source: string
  destination: string
  operation: string
}

export async function runCase(story: Story, subject: Subject, fault: FaultCase): Promise<CaseOutcome> {
  const before = await story.client.container(subject.name)
  const source = before.host as string
  const destination = story.otherHost(before)
  const witness = await Witness.of(story.lab, before)
  const criusBefore = story.lab.hosts.map(({ name }) => story.lab.criuProcesses(name).length)
  const armed = story.lab.arm(sideOf(fault.point) === 'source' ? source : destination, fault.point)
  const wayBack = onTheWayBack(fault.point) ? story.lab.arm(source, 'source.frozen') : null
  const problems: string[] = []
  let outcome = 'never ended'
  let operation = ''
  try {
    operation = (await story.client.move(subject.name, { host: destination })).id
    const held = { story, fault, source, destination, operation }
    if (wayBack) {
      await wayBack.reached(reachDeadlineMs)
      await cancel(held)
      wayBack.letGo()
    }
    await armed.reached(reachDeadlineMs)
    const heal = await harm(held)
    armed.letGo()
    if (fault.harm !== 'cancel') await pause(harmMs)
    await heal()
    const ended = await ending(story, operation)
    outcome = ended.state === 'done' ? 'done' : `aborted: ${ended.error?.code ?? ended.state}`
  } catch (error) {
    problems.push((error as Error).message, await standOf(story, operation))
  } finally {
    armed.letGo()
    wayBack?.letGo()
  }
  problems.push(...(await story.everyOneRunsOnce([subject.name])))
  const after = await story.client.container(subject.name).catch(() => null)
  if (after === null) {
    witness.close()
    return { fault, outcome, blackoutMs: null, problems: [...problems, 'the container can’t be asked for'] }
  }
  const verdict = await witness.verdict(after).catch((thrown) => {
    return { unbroken: false, blackoutMs: null, detail: `the client at it: ${(thrown as Error).message}` }
  })
  witness.close()
  if (!verdict.unbroken) problems.push(verdict.detail)
  if (outcome === 'done' && after.host !== destination) problems.push(`done, and it is on ${after.host}`)
  if (outcome.startsWith('aborted') && after.host !== source) problems.push(`${outcome}, and it is on ${after.host}`)
  const due = isCommitted(fault.point) ? 'done' : 'aborted: CANCELLED'
  if (fault.harm === 'cancel' && outcome !== due) problems.push(`cancelled, and the move ended ${outcome}, not ${due}`)
  problems.push(...(await patiently(() => subject.problems())), ...(await traces(story, after, operation, criusBefore)))
  return { fault, outcome, blackoutMs: verdict.blackoutMs, problems }
}

/** What the controllers say of a move that did not come to its point. */
async function standOf(story: Story, id: string): Promise<string> {
  const operation = await story.client.operation(id).catch(() => null)
  if (operation === null) return 'nobody knows the move'
  const { state, migration, error } = operation
  return `the move is ${state}, ${migration?.phase}${error ? `: ${error.code} ${error.message}` : ''}`
}

/** A machine that is busy with other things may not even start the command line in time; a container that is lost isn't there later, either. */
async function patiently(look: () => Promise<string[]>): Promise<string[]> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await look()
    } catch (thrown) {
      if (attempt === looks) return [`not to be looked at: ${(thrown as Error).message}`]
    }
  }
}

/** Does it; the result undoes it. */
async function harm(held: Held) {
  const { story, fault, source, destination } = held
  const { lab } = story
  const { victim, harm } = fault
  if (victim === 'move') {
    await cancel(held)
    return async () => {}
  }
  const [who, part] = victim === 'leader' ? ['', 'controller'] : victim.split(' ')
  const host = victim === 'leader' ? await lab.leader() : who === 'source' ? source : destination
  if (part === 'cable') {
    await lab.setCable(host, false)
    return () => lab.setCable(host, true)
  }
  if (part === 'criu') {
    for (const pid of lab.criuProcesses(host)) process.kill(pid, 'SIGKILL')
    return async () => {}
  }
  const kind = part as 'controller' | 'agent' | 'engine' | 'nats'
  if (harm === 'stop') {
    await lab.kill(host, kind, 'SIGSTOP')
    return () => lab.kill(host, kind, 'SIGCONT')
  }
  await lab.kill(host, kind)
  return () => lab.restart(host, kind)
}

/** Asks for it, and waits until it is decided: what is held meanwhile learns of it only afterwards. */
async function cancel({ story, fault, operation }: Held): Promise<void> {
  const asked = story.client.cancel(operation)
  if (isCommitted(fault.point)) {
    // It may be refused.
    await asked.catch(() => {})
    return
  }
  await asked
  await waitUntil(`operation ${operation} to be aborted`, endDeadlineMs, async () => {
    const { migration, state } = await story.client.operation(operation)
    return migration?.phase === 'aborted' || state !== 'running'
  })
}

async function ending(story: Story, id: string): Promise<Operation> {
  return await waitUntil(`operation ${id} to end`, endDeadlineMs, async () => {
    const operation = await story.client.operation(id).catch(() => null)
    return operation !== null && operation.state !== 'running' ? operation : null
  })
}

/** Hosts that the container isn't on have nothing of it, and no host has anything of the move, once everything has settled. */
async function traces(
  { lab }: Story,
  container: Container,
  operation: string,
  criusBefore: number[],
): Promise<string[]> {
  const names = lab.hosts.map(({ name }) => name)
  const others = names.filter((name) => name !== container.host)
  let ofMove: string[] = []
  await waitUntil('the hosts to be clean of the move', settleDeadlineMs, () => {
    ofMove = names.flatMap((name, index) =>
      [
        ...lab
          .criuProcesses(name)
          .slice(criusBefore[index])
          .map((pid) => `criu ${pid}`),
        ...(operation === '' ? [] : lab.tracesOfMove(name, operation, container.id)),
      ].map((trace) => `${trace} on ${name}`),
    )
    return ofMove.length === 0
  }).catch(() => {})
  return [...(await tracesLeft(lab, others, container)), ...ofMove].map((trace) => `left behind: ${trace}`)
}
