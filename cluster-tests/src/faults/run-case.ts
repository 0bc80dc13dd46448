// One fault case on a laboratory: a container with a client at it is moved, the move is held at the point, the victim is harmed,
// the move goes on, the victim comes back. Then the operation must have ended, and the container run once, with its memory, its
// connection and its disk as they were, and with no trace on the other host.

import { setTimeout as pause } from 'node:timers/promises'
import type { Container, Operation } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import type { Story } from '../stories.ts'
import { tracesLeft } from '../traces.ts'
import { Witness } from '../witness.ts'
import type { FaultCase, Side } from './cases.ts'

export interface CaseOutcome {
  fault: FaultCase
  /** How the operation ended: `done`, or `aborted` with the code of its error. */
  outcome: string
  /** Longest silence that the client at the container saw, ms. */
  blackoutMs: number | null
  /** What should not be; empty when all is well. */
  problems: string[]
}

const reachDeadlineMs = 30_000
const endDeadlineMs = 120_000
/** How long the harm lasts: longer than an election, shorter than any deadline of a migration. */
const harmMs = 2_000

export async function runCase(story: Story, name: string, fault: FaultCase): Promise<CaseOutcome> {
  const before = await story.container(name)
  const source = before.host as string
  const destination = story.otherHost(before)
  const witness = await Witness.of(story.lab, before)
  const side = fault.point.split('.')[0] as Side
  const armed = story.lab.arm(side === 'source' ? source : destination, fault.point)
  const problems: string[] = []
  let outcome = 'never ended'
  try {
    const moving = await story.client.move(name, { host: destination })
    await armed.reached(reachDeadlineMs)
    const heal = await harm(story, fault, source, destination)
    armed.letGo()
    await pause(harmMs)
    await heal()
    const ended = await ending(story, moving.id)
    outcome = ended.state === 'done' ? 'done' : `aborted: ${ended.error?.code ?? ended.state}`
  } catch (error) {
    problems.push((error as Error).message)
  } finally {
    armed.letGo()
  }
  problems.push(...(await story.everyOneRunsOnce([name])))
  const after = await story.container(name)
  const verdict = await witness.verdict(after)
  witness.close()
  if (!verdict.unbroken) problems.push(verdict.detail)
  if (outcome === 'done' && after.host !== destination) problems.push(`done, and it is on ${after.host}`)
  if (outcome.startsWith('aborted') && after.host !== source) problems.push(`${outcome}, and it is on ${after.host}`)
  problems.push(...(await diskProblems(story, name)), ...(await traces(story, after)))
  return { fault, outcome, blackoutMs: verdict.blackoutMs, problems }
}

/** Does it; the result undoes it. */
async function harm(story: Story, { victim, harm }: FaultCase, source: string, destination: string) {
  const { lab } = story
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

async function ending(story: Story, id: string): Promise<Operation> {
  return await waitUntil(`operation ${id} to end`, endDeadlineMs, async () => {
    const operation = await story.client.operation(id).catch(() => null)
    return operation !== null && operation.state !== 'running' ? operation : null
  })
}

/** The files that were there before still are, to the byte. */
async function diskProblems(story: Story, name: string): Promise<string[]> {
  const checked = await story.lab.cli([
    'exec',
    name,
    '--',
    'sh',
    '-c',
    'cd /data && sha256sum -c -s SUMS && echo intact',
  ])
  return checked.stdout.includes('intact') ? [] : [`disk: ${(checked.stderr || checked.stdout).trim() || 'it differs'}`]
}

/** Hosts that the container isn't on have nothing of it, once everything has settled. */
async function traces({ lab }: Story, container: Container): Promise<string[]> {
  const others = lab.hosts.map(({ name }) => name).filter((name) => name !== container.host)
  return (await tracesLeft(lab, others, container)).map((trace) => `left behind: ${trace}`)
}

/** A container with files to lose. */
export async function makeSubject(story: Story, name: string): Promise<void> {
  await story.must('launch', name)
  const files = 'mkdir /data && cd /data && for n in $(seq 40); do head -c $((n * 5000)) /dev/urandom > f$n; done'
  const made = await story.lab.cli(['exec', name, '--', 'sh', '-c', `${files} && sha256sum f* > SUMS`])
  if (made.code !== 0) throw new Error(`fill the disk of ${name}: ${made.stderr}`)
}
