// What the command's tests show, beside the resources that all tests share.

import type { Operation } from '@drover/protocol'
import { operation } from '@drover/testkit/resources'

export { container, hostView, operation } from '@drover/testkit/resources'

export function moveOperation(change: Partial<Operation> = {}, figures: Record<string, number> = {}): Operation {
  return operation({
    kind: 'move',
    phase: 'done',
    migration: {
      container: 'c-web-1',
      source: 'a',
      destination: 'b',
      mode: 'live',
      phase: 'done',
      nextEpoch: 4,
      figures: {
        phase_preparing_ms: 41,
        phase_precopying_ms: 12,
        phase_switching_ms: 88,
        phase_committed_ms: 5,
        ...figures,
      },
    },
    ...change,
  })
}
