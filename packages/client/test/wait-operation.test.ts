// Waiting for operations: by events, without them, and across controllers that go away.

import { EventEmitter, on } from 'node:events'
import { mock } from 'node:test'
import { DroverClient, operationFailure } from '@drover/client'
import type { Operation } from '@drover/protocol'
import t from 'tap'
import {
  coalesceMs,
  longestPollMs,
  longestProgressPollMs,
  type WaitSource,
  waitOperation,
} from '../src/wait-operation.ts'
import { answerError, answerEvents, answerJson, fakeApi, operation } from './fake-api.ts'

const secret = 'a-secret-of-the-cluster'

t.test('progress is told once per state, and the ended operation is the result', async (t) => {
  const states = [operation(), operation(), operation({ phase: 'almost' }), operation({ state: 'done', phase: 'done' })]
  const api = await fakeApi(t, (request, response) => {
    if (request.url.startsWith('/v1/events')) return void answerEvents(response, [1, 2])
    answerJson(response, 200, states.length > 1 ? states.shift() : states[0])
  })
  const phases: string[] = []
  const client = new DroverClient({ endpoints: [api.url], secret })
  const ended = await client.waitOperation('op-1', { onProgress: ({ phase }) => phases.push(phase) })
  t.equal(ended.state, 'done')
  t.same(phases, ['starting', 'almost', 'done'])
  t.ok(
    api.seen.some(({ url }) => url === '/v1/events?operation=op-1&alone=true'),
    'not of those that it starts',
  )
})

for (const [told, onProgress, pollMs] of [
  ['who is told of progress', () => {}, longestProgressPollMs],
  ['who only waits for the end', undefined, longestPollMs],
] as const) {
  t.test(
    `${told}: its own events are asked about at once; progress, and what its moves do, with the next poll`,
    async (t) => {
      mock.timers.enable({ apis: ['setTimeout'] })
      t.teardown(() => mock.timers.reset())
      const id = 'op-1'
      const events = new EventEmitter()
      let asked = 0
      let state: Operation['state'] = 'running'
      const source: WaitSource = {
        async operation() {
          asked++
          return operation({ state })
        },
        async *changes(_, signal) {
          for await (const [event] of on(events, 'event', { signal })) yield event
        },
      }
      const waiting = waitOperation(source, id, onProgress ? { onProgress } : {})
      /** How often it asks in this time after the event. */
      const asks = async (event: { kind: string; operation: string } | null, ms: number) => {
        const before = asked
        if (event !== null) events.emit('event', event)
        await turns()
        mock.timers.tick(ms)
        await turns()
        return asked - before
      }
      await turns()
      t.equal(asked, 1)
      for (let time = 0; time < 20; time++)
        t.equal(await asks({ kind: 'migration.planned', operation: id }, coalesceMs), 1)
      t.equal(await asks({ kind: 'migration.done', operation: `${id}-c1-1` }, coalesceMs), 0)
      t.equal(await asks({ kind: 'operation.progress', operation: id }, coalesceMs), 0)
      t.equal(await asks(null, pollMs - 3 * coalesceMs), 0)
      t.equal(await asks(null, 3 * coalesceMs), 1)
      state = 'done'
      t.equal(await asks({ kind: 'operation.done', operation: id }, coalesceMs), 1)
      t.match(await waiting, { state: 'done' })
    },
  )
}

/** Until all that hangs on no timer has been done. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
}

t.test('without events it polls', async (t) => {
  let asked = 0
  const api = await fakeApi(t, (request, response) => {
    if (request.url.startsWith('/v1/events')) return answerError(response, 404, 'ROUTE_NOT_FOUND', false)
    answerJson(response, 200, operation(++asked < 3 ? {} : { state: 'failed', error: { code: 'BUSY', message: 'no' } }))
  })
  const ended = await new DroverClient({ endpoints: [api.url], secret }).waitOperation('op-1')
  t.match(operationFailure(ended), { code: 'BUSY', message: 'start web-1: no' })
  const told = { ...ended, error: { code: 'BUSY', message: 'start web-1 on host a: no' } }
  t.match(operationFailure(told), { message: /^start web-1 on host a: no$/ }, 'what it was is said once')
})

t.test('an operation is waited for across a change of leader', async (t) => {
  const next = await fakeApi(t, (request, response) => {
    if (request.url.startsWith('/v1/events')) return void answerEvents(response, [])
    answerJson(response, 200, operation({ state: 'done' }))
  })
  const first = await fakeApi(t, (request, response) => {
    if (request.url.startsWith('/v1/events')) return void answerEvents(response, [])
    answerJson(response, 200, operation())
    first.server.close()
    setImmediate(() => first.server.closeAllConnections())
  })
  const client = new DroverClient({ endpoints: [first.url, next.url], secret })
  t.equal((await client.waitOperation('op-1')).state, 'done')
  t.ok(first.seen.length > 0 && next.seen.length > 0)
})

t.test('the deadline says where the operation was left, and that it goes on', async (t) => {
  const source: WaitSource = {
    operation: async () => operation({ phase: 'precopying' }),
    async *changes() {},
  }
  await t.rejects(waitOperation(source, 'op-1', { deadlineMs: 1_000 }), {
    code: 'TIMED_OUT',
    message: /precopying; it goes on/,
  })
})

t.test('an unknown operation is said at once', async (t) => {
  const api = await fakeApi(t, (_, response) => answerError(response, 404, 'OPERATION_NOT_FOUND', false))
  const client = new DroverClient({ endpoints: [api.url], secret })
  await t.rejects(client.waitOperation('op-9'), { code: 'OPERATION_NOT_FOUND' })
})

t.test('aborting ends the wait', async (t) => {
  const stop = new AbortController()
  const api = await fakeApi(t, (request, response) => {
    if (request.url.startsWith('/v1/events')) return void answerEvents(response, [])
    answerJson(response, 200, operation())
  })
  const waiting = new DroverClient({ endpoints: [api.url], secret }).waitOperation('op-1', {
    signal: stop.signal,
    onProgress: () => stop.abort(),
  })
  await t.rejects(waiting, { name: 'AbortError' })
})
