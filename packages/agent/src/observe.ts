// What the report says about the containers of this host, from the engine's list, the assignments and failed steps. A container that is
// assigned but could not be made shows as failed with the reason; one whose later step failed keeps its state and says why. A container
// is looked at anew only when something about it is, and stays the same object as long as nothing but its use has changed.

import type { EngineContainer } from '@drover/engine'
import type { Assignment, FirstBootOutcome, ObservedContainer } from '@drover/protocol'
import type { DiskUse } from './disk-meter.ts'
import { configured } from './reconcile/engine-limits.ts'
import type { RestartHistory } from './reconcile/restart-policy.ts'
import { sameValue } from './same-value.ts'
import type { StepFailure } from './workers.ts'

interface Seen {
  engine: EngineContainer | null
  assignment: Assignment | null
  failure: StepFailure | undefined
  planned: RestartHistory | null
  firstBoot: FirstBootOutcome | null
  observed: ObservedContainer
}

type Sources = Omit<Seen, 'observed'>

export class ContainerObserver {
  #seen = new Map<string, Seen>()

  observe(
    containers: EngineContainer[],
    assignment: (container: string) => Assignment | null,
    failures: [string, StepFailure][],
    restart: (container: EngineContainer, assignment: Assignment) => RestartHistory | null = () => null,
    diskUse: (container: string) => DiskUse | null = () => null,
    firstBoot: (container: string) => FirstBootOutcome | null = () => null,
  ): ObservedContainer[] {
    const failed = new Map(failures)
    const before = this.#seen
    this.#seen = new Map()
    for (const engine of containers) {
      const { container } = engine
      const assigned = assignment(container)
      const planned = assigned && restart(engine, assigned)
      const failure = failed.get(container)
      const sources = { engine, assignment: assigned, failure, planned, firstBoot: firstBoot(container) }
      const known = before.get(container)
      if (known && sameSources(known, sources)) this.#seen.set(container, known)
      else if (known && sameButUse(known, sources)) this.#seen.set(container, use(known, engine, diskUse(container)))
      else this.#seen.set(container, look(known, sources, { ...present(sources, engine), ...diskUse(container) }))
    }
    for (const [container, failure] of failed) {
      const assigned = assignment(container)
      if (this.#seen.has(container) || !assigned) continue
      const sources = { engine: null, assignment: assigned, failure, planned: null, firstBoot: null }
      const known = before.get(container)
      if (known && sameSources(known, sources)) this.#seen.set(container, known)
      else this.#seen.set(container, look(known, sources, unmade(assigned, failure)))
    }
    return [...this.#seen.values()].map(({ observed }) => observed)
  }
}

/** A busy host says many times a second what is new, and mostly nothing is of most of its containers. */
const sameSources = (known: Seen, { engine, assignment, failure, planned, firstBoot }: Sources): boolean =>
  known.engine === engine &&
  known.assignment === assignment &&
  known.failure === failure &&
  known.planned === planned &&
  known.firstBoot === firstBoot

/** What changes while nothing happens. */
const useFields: ReadonlySet<keyof EngineContainer> = new Set(['memoryBytes', 'cpuUsec', 'processes'])

/** As every list of the engine has them. */
const sameButUse = (known: Seen, { engine, ...others }: Sources): boolean =>
  sameSources(known, { ...others, engine: known.engine }) && sameValue(known.engine, engine, useFields)

function use(known: Seen, engine: EngineContainer, disk: DiskUse | null): Seen {
  const { memoryBytes, cpuUsec } = engine
  Object.assign(known.observed, { memoryBytes, cpuUsec }, disk)
  return Object.assign(known, { engine })
}

function look(before: Seen | undefined, sources: Sources, made: ObservedContainer): Seen {
  if (before === undefined || factsOf(before.observed) !== factsOf(made)) return { ...sources, observed: made }
  return { ...sources, observed: Object.assign(before.observed, made) }
}

/** All but what it uses. */
function factsOf({
  memoryBytes: _memory,
  cpuUsec: _cpu,
  diskBytes: _disk,
  dirtyBytesPerS: _dirty,
  ...facts
}: ObservedContainer): string {
  return JSON.stringify(facts)
}

function present({ assignment, failure, planned, firstBoot }: Sources, engine: EngineContainer): ObservedContainer {
  const seen = { ...observe(engine, assignment, failure), ...(firstBoot === null ? {} : { firstBoot }) }
  return planned && seen.errorCode === null ? waiting(seen, planned) : seen
}

function observe(
  container: EngineContainer,
  assignment: Assignment | null,
  failure: StepFailure | undefined,
): ObservedContainer {
  const neverRan = container.state === 'created' && (failure?.kind === 'start' || failure?.kind === 'create')
  return {
    container: container.container,
    epoch: container.epoch,
    state: neverRan ? 'failed' : container.state,
    revision: assignment?.revision ?? 0,
    configured: assignment === null || configured(container, assignment),
    initPid: container.initPid,
    startedAtMs: container.startedAtMs,
    starts: container.starts,
    message: failure?.message ?? describeExit(container),
    // One of an earlier assignment says nothing of this one, which has not been tried yet.
    errorCode: failure?.revision === (assignment?.revision ?? failure?.revision) ? (failure?.code ?? null) : null,
    memoryBytes: container.memoryBytes,
    cpuUsec: container.cpuUsec,
    ...(container.memory === undefined ? {} : { memory: container.memory }),
    ...(container.leased === undefined ? {} : { leased: container.leased }),
  }
}

/** Between two runs by its policy it has not ended: it is about to be started. */
function waiting(seen: ObservedContainer, { attempts }: RestartHistory): ObservedContainer {
  const due = attempts === 0 ? 'it is about to be started' : `restart ${attempts} in a row is due`
  return { ...seen, state: 'created', message: `${seen.message ?? 'init ended'}; ${due}` }
}

function unmade(assignment: Assignment, failure: StepFailure): ObservedContainer {
  return {
    container: assignment.container,
    epoch: assignment.epoch,
    state: 'failed',
    revision: assignment.revision,
    initPid: null,
    startedAtMs: null,
    starts: 0,
    message: failure.message,
    errorCode: failure.code,
    memoryBytes: 0,
    cpuUsec: 0,
  }
}

function describeExit({ state, exit, memory, fenced }: EngineContainer): string | null {
  if (fenced) return 'frozen: its host had not heard from the leader, and it may be started elsewhere'
  if (state === 'frozen' && memory?.frozenAtLimit) return 'frozen at its limit of memory: raise it to let it go on'
  if (state !== 'stopped' || !exit) return null
  if (exit.reason === 'host') return 'its host went down'
  if (exit.reason === 'poweroff') return 'powered off'
  if (exit.reason === 'reboot') return 'its init asked for a reboot'
  if (exit.reason === 'killed') return `init was killed by signal ${exit.status}`
  return `init ended with status ${exit.status}`
}
