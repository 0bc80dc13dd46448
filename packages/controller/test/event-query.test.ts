// Whom an event concerns who listens to one operation.

import type { ClusterEvent } from '@drover/protocol'
import t from 'tap'
import { isWanted } from '../src/shell/http/events.ts'

t.test('events: of all, of an operation with those that it started, of it alone', async (t) => {
  const operations = new Map([
    ['evacuation', { parent: null }],
    ['move', { parent: 'evacuation' }],
    ['other', { parent: null }],
  ])
  const concerned = (query: Parameters<typeof isWanted>[1]) =>
    ['evacuation', 'move', 'other', 'forgotten', null].filter((operation) =>
      isWanted({ id: 1, atMs: 0, kind: 'x', target: 'x', message: '', operation } as ClusterEvent, query, operations),
    )
  t.strictSame(concerned({}), ['evacuation', 'move', 'other', 'forgotten', null])
  t.strictSame(concerned({ operation: 'evacuation' }), ['evacuation', 'move'])
  t.strictSame(concerned({ operation: 'evacuation', alone: 'true' }), ['evacuation'])
})
