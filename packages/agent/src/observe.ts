// Pure: what the report says about the containers of this host, from the engine's list, the assignments and failed steps. A container
// that is assigned but could not be made shows as failed with the reason; one whose later step failed keeps its state and says why.

import type { EngineContainer } from '@drover/engine'
import type { Assignment, ObservedContainer } from '@drover/protocol'
import { configured } from './reconcile/engine-limits.ts'
import type { RestartHistory } from './reconcile/restart-policy.ts'
import type { StepFailure } from './workers.ts'

export function observeContainers(
  containers: EngineContainer[],
  assignment: (container: string) => Assignment | null,
  failures: [string, StepFailure][],
  restart: (container: EngineContainer, assignment: Assignment) => RestartHistory | null = () => null,
): ObservedContainer[] {
  const failed = new Map(failures)
  const observed = containers.map((container) => {
    const assigned = assignment(container.container)
    const seen = observe(container, assigned, failed.get(container.container))
    const planned = assigned && restart(container, assigned)
    return planned && seen.errorCode === null ? waiting(seen, planned) : seen
  })
  const present = new Set(containers.map((container) => container.container))
  for (const [container, failure] of failed) {
    const assigned = assignment(container)
    if (!present.has(container) && assigned) observed.push(unmade(assigned, failure))
  }
  return observed
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
    errorCode: failure?.code ?? null,
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
