// The host is about to go down: what runs is stopped, in order and with a deadline each, and noted first, so that after the boot it counts as gone
// down with its host rather than powered off by its own will. Whoever calls this has cut the agent off from its controllers: they must
// not hear of containers that stopped, since for them nothing has changed.

import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineContainer } from '@drover/engine'
import { DroverError } from '@drover/protocol'
import { stopSlackMs } from './engine-port.ts'
import type { AgentParts } from './parts.ts'
import { stopParams } from './steps/stop-params.ts'

/** LXD's boot.host_shutdown_timeout. */
export const defaultHostTimeoutMs = 30_000

export class HostShutdown {
  readonly #file: string
  /** How often each of them had been started when the host went down: a later end is another one. */
  #stopped: Map<string, number>

  constructor(dataDirectory: string) {
    this.#file = join(dataDirectory, 'host-shutdown.json')
    this.#stopped = read(this.#file)
  }

  /** As the engine says, but for what was stopped for its host. */
  seen(container: EngineContainer): EngineContainer {
    const stoppedHere = container.state === 'stopped' && this.#stopped.get(container.container) === container.starts
    return stoppedHere ? { ...container, exit: { reason: 'host', status: 0 } } : container
  }

  /** What the engine has when the agent comes back: one that wasn't stopped after all ends by its own will from now on. */
  settle(containers: readonly EngineContainer[]): void {
    if (this.#stopped.size === 0) return
    const still = containers.filter((each) => this.seen(each) !== each)
    if (still.length === this.#stopped.size) return
    this.#note(new Map(still.map(({ container, starts }) => [container, starts])))
  }

  /** Those with the highest priority first, each group at once; a failure is logged and holds up nobody. */
  async stopAll({ mirror, store, engine, log }: AgentParts): Promise<void> {
    const runs = mirror.all().filter(({ state }) => state === 'running' || state === 'frozen')
    this.#note(new Map([...this.#stopped, ...runs.map(({ container, starts }) => [container, starts] as const)]))
    for (const group of inOrder(runs, (container) => store.get(container)?.spec.stop?.priority ?? 0)) {
      log.info({ containers: group.length }, 'the host goes down: stopping')
      await Promise.all(
        group.map(async ({ container, epoch }) => {
          const assignment = store.get(container)
          const timeoutMs = assignment?.spec.stop?.hostTimeoutMs ?? defaultHostTimeoutMs
          const params = { ...(assignment ? stopParams(assignment) : { container }), epoch, timeoutMs }
          try {
            await engine.call('stop', params, { deadlineMs: timeoutMs + stopSlackMs })
          } catch (thrown) {
            log.warn({ container, error: DroverError.from(thrown).message }, 'stop a container for its host')
          }
        }),
      )
    }
  }

  #note(stopped: Map<string, number>): void {
    this.#stopped = stopped
    writeFileSync(`${this.#file}.new`, JSON.stringify(Object.fromEntries(stopped)), { mode: 0o600, flush: true })
    renameSync(`${this.#file}.new`, this.#file)
  }
}

function inOrder(containers: readonly EngineContainer[], priority: (id: string) => number): EngineContainer[][] {
  const groups = new Map<number, EngineContainer[]>()
  for (const container of containers) {
    const key = priority(container.container)
    groups.set(key, [...(groups.get(key) ?? []), container])
  }
  return [...groups].sort(([left], [right]) => right - left).map(([, group]) => group)
}

/** A file that can't be read says nothing: then they were powered off. */
function read(file: string): Map<string, number> {
  try {
    const entries = Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>)
    return new Map(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'))
  } catch {
    return new Map()
  }
}
