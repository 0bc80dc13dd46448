// The places where a fault test can hold a migration still. A test arms a point by making a file of its name in the agent's fault
// directory; the agent that comes to it renames the file to `NAME.reached` and waits there until the test removes it, while the
// test kills, stops or cuts off whatever it likes. Without a configured directory a point costs one comparison.

import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

/** The points, in the order of a migration; docs/faults.md says what each row of its table means. */
export const faultPoints = [
  'source.preparing',
  'destination.preparing',
  'destination.disk-receiving',
  'source.disk-sent',
  'destination.disk-received',
  'destination.pages-receiving',
  'source.freezing',
  'source.frozen',
  'destination.memory-receiving',
  'destination.delta-receiving',
  'source.switched',
  'destination.restoring',
  'destination.restored',
  'destination.releasing',
  'source.cleaning',
] as const
export type FaultPoint = (typeof faultPoints)[number]

/** A test that died doesn't hold an agent for ever. */
const holdDeadlineMs = 60_000
const pollMs = 2

export class FaultPoints {
  readonly #directory: string | null

  constructor(directory: string | null) {
    this.#directory = directory
  }

  /** Returns at once, unless a test has armed the point. */
  async at(point: FaultPoint): Promise<void> {
    if (this.#directory === null) return
    const armed = join(this.#directory, point)
    const reached = `${armed}.reached`
    if (!existsSync(armed)) return
    try {
      renameSync(armed, reached)
    } catch {
      return
    }
    for (let waitedMs = 0; waitedMs < holdDeadlineMs && existsSync(reached); waitedMs += pollMs) await pause(pollMs)
  }
}
