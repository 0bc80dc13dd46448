// What is said of this host: everything now and then and whenever the rarer facts change, else only what is different from the last
// time that everything was said. A busy host with hundreds of containers would otherwise tell of all of them many times a second,
// and each controller would read it.

import type { HostChanges, HostReport, ObservedContainer } from '@drover/protocol'
import type { MigrationSession } from './migration/session.ts'

/** Figures of a session that ended are said for so long; by then its operation has them, or nobody asked. */
const figuresForMs = 10_000
/** With hardly a container here, everything is little. */
const fewTellings = 16

export interface ReportFacts extends Omit<HostReport, 'sequence' | 'migrations' | 'snapshots'> {
  sessions: readonly MigrationSession[]
  snapshots: NonNullable<HostReport['snapshots']>
}

interface Said {
  sequence: number
  rare: string
  atMs: number
  containers: Map<string, ObservedContainer>
  /** How often a container was told of since. */
  tellings: number
}

export class ReportWriter {
  #sequence = 0
  #said: Said | null = null

  /** The next one says everything. */
  sayEverything(): void {
    this.#said = null
  }

  next(facts: ReportFacts, nowMs = performance.now()): HostReport | HostChanges {
    const sequence = ++this.#sequence
    const rare = rareFacts(facts)
    if (this.#said?.rare === rare && this.#said.tellings < mostTellings(facts)) {
      const changes = changesSince(this.#said, facts, sequence)
      this.#said.tellings += changes.containers.length + changes.gone.length
      return changes
    }
    this.#said = {
      sequence,
      rare,
      atMs: nowMs,
      containers: new Map(facts.containers.map((each) => [each.container, each])),
      tellings: 0,
    }
    const { cluster, host, session, sessions, ...more } = facts
    const migrations = sessions.map((each) => each.report(nowMs - each.changedAtMs < figuresForMs))
    return { cluster, host, session, sequence, ...more, migrations }
  }
}

/** Each of the changes tells all since the last complete report: once they are as much as that, another one is less. */
const mostTellings = ({ containers }: ReportFacts): number => Math.max(fewTellings, containers.length)

/** A container that is still the same object has not changed but for its use (ContainerObserver). */
function changesSince(said: Said, facts: ReportFacts, sequence: number): HostChanges {
  const { cluster, host, session, used, engineUp, pressure, containers, sessions, imageTasks, snapshots } = facts
  const present = new Set(containers.map(({ container }) => container))
  return {
    cluster,
    host,
    since: said.sequence,
    session,
    sequence,
    used,
    engineUp,
    ...(pressure === undefined ? {} : { pressure }),
    containers: containers.filter((each) => said.containers.get(each.container) !== each),
    gone: [...said.containers.keys()].filter((container) => !present.has(container)),
    // Figures of one under way change without notice.
    migrations: sessions.filter((each) => !each.ended || each.changedAtMs >= said.atMs).map((each) => each.report()),
    imageTasks,
    snapshots,
  }
}

function rareFacts({
  address,
  grpcPort,
  streamPort,
  capacity,
  features,
  images,
  leftovers,
  volumes,
}: ReportFacts): string {
  return JSON.stringify([address, grpcPort, streamPort, capacity, features, images, leftovers, volumes])
}
