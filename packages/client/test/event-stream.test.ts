// The event iterator: it goes on after the last event it gave, wherever the next controller is.

import { DroverClient } from '@drover/client'
import t from 'tap'
import { answerError, answerEvents, deadUrl, fakeApi } from './fake-api.ts'

const secret = 'a-secret-of-the-cluster'

t.test('a broken stream is resumed after the last event', async (t) => {
  const stop = new AbortController()
  const api = await fakeApi(t, (_, response, count) => {
    if (count === 1) setImmediate(() => response.destroy())
    answerEvents(response, count === 1 ? [3, 4] : [5])
  })
  const client = new DroverClient({ endpoints: [await deadUrl(), api.url], secret })
  const ids: number[] = []
  for await (const event of client.events({ signal: stop.signal })) {
    ids.push(event.id)
    if (event.id === 5) stop.abort()
  }
  t.same(ids, [3, 4, 5])
  t.match(api.seen, [{ lastEventId: undefined }, { lastEventId: '4' }])
})

t.test('events after a given one can be asked for', async (t) => {
  const api = await fakeApi(t, (_, response) => void answerEvents(response, [8]))
  const client = new DroverClient({ endpoints: [api.url], secret })
  for await (const event of client.events({ after: 7, operation: 'op-1' })) {
    t.equal(event.id, 8)
    break
  }
  t.match(api.seen, [{ lastEventId: '7', url: '/v1/events?operation=op-1' }])
})

t.test('a wrong secret ends it with the error', async (t) => {
  const api = await fakeApi(t, (_, response) => answerError(response, 401, 'UNAUTHENTICATED', false))
  const events = new DroverClient({ endpoints: [api.url], secret }).events()
  await t.rejects(events.next(), { code: 'UNAUTHENTICATED' })
})
