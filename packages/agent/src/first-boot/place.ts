// Where a first boot without cloud-init keeps what it needs inside: one directory for each instance, which a copy's is not.

import type { Assignment } from '@drover/protocol'

/** Another container, and so a copy, is another instance: the machine id is nobody else's. */
export const instanceOf = ({ container, identity }: Pick<Assignment, 'container' | 'identity'>) =>
  `${container}-${identity.machineId.slice(0, 12)}`

/** Who has this reads user data by itself. */
export const cloudInit = '/usr/bin/cloud-init'

export const firstBootRoot = '/var/lib/drover/first-boot'

export function firstBootPlace(assignment: Pick<Assignment, 'container' | 'identity'>) {
  const directory = `${firstBootRoot}/${instanceOf(assignment)}`
  return {
    directory,
    /** What was decided to be written, before it is written. */
    record: `${directory}/record.json`,
    script: `${directory}/run`,
    /** How far the script has come: one line for each step, the last one says how it ended. */
    state: `${directory}/state`,
  }
}
