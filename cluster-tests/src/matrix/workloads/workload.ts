// What a workload row is: real software, brought up inside a container, which must not notice that it is moved.

import type { Row } from '../row.ts'
import type { WorkloadContainer } from './workload-container.ts'

export interface Workload {
  row: Row
  image: string
  memoryBytes: number
  /** Brings it up inside. */
  begin(container: WorkloadContainer): Promise<void>
  /** Arguments of the client outside (../outside), which keeps its connections open from before the first move. */
  outside(container: WorkloadContainer): Promise<string[]>
  /** Asked anew after each move; what is wrong is thrown. */
  inside(container: WorkloadContainer): Promise<void>
  /** Asked once after the last move. */
  end?(container: WorkloadContainer): Promise<void>
}

export function row(name: string, what: string, note = ''): Row {
  return { name, what, group: 'workload', expected: { kind: 'moves' }, note }
}
