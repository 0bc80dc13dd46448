// Calls over endpoints that fail in every way they can: what is retried, with which key, and what the caller gets in the end.

import { DroverClient } from '@drover/client'
import t from 'tap'
import { answerError, answerJson, deadUrl, fakeApi, operation } from './fake-api.ts'

const secret = 'a-secret-of-the-cluster'

/** On a busy machine the first exchange alone takes some hundred milliseconds. */
const triedAgainMs = 2_000

t.test('a call carries the secret and gives the resource', async (t) => {
  const api = await fakeApi(t, (_, response) => answerJson(response, 200, [{ name: 'web-1' }]))
  const containers = await new DroverClient({ endpoints: [api.url], secret }).containers()
  t.match(containers, [{ name: 'web-1' }])
  t.match(api.seen, [{ method: 'GET', url: '/v1/containers', authorization: `Bearer ${secret}`, key: undefined }])
})

t.test('a write keeps one idempotency key over its retries, another write has its own', async (t) => {
  const api = await fakeApi(t, (_, response, count) => {
    if (count === 1) response.destroy()
    else if (count === 2) answerError(response, 503, 'NO_QUORUM', true)
    else answerJson(response, 202, operation())
  })
  const client = new DroverClient({ endpoints: [api.url], secret })
  t.equal((await client.launch({ name: 'web-1' })).id, 'op-1')
  const keys = api.seen.map(({ key }) => key)
  t.equal(keys.length, 3)
  t.match(keys[0], /^[0-9a-f-]{36}$/)
  t.equal(new Set(keys).size, 1)
  await client.launch({ name: 'web-2' })
  t.not(api.seen[3]?.key, keys[0])
})

t.test('an endpoint that is down or not the leader is passed over, and not asked first again', async (t) => {
  const follower = await fakeApi(t, (_, response) => answerError(response, 421, 'NOT_LEADER', true))
  const leader = await fakeApi(t, (_, response) => answerJson(response, 202, operation()))
  const client = new DroverClient({ endpoints: [await deadUrl(), follower.url, leader.url], secret })
  await client.stop('web-1')
  await client.stop('web-1')
  t.equal(follower.seen.length, 1)
  t.equal(leader.seen.length, 2)
})

t.test('a final refusal is not retried and comes as it was said', async (t) => {
  const api = await fakeApi(t, (_, response) => answerError(response, 409, 'NAME_TAKEN', false))
  const client = new DroverClient({ endpoints: [api.url], secret })
  await t.rejects(client.launch({ name: 'web-1' }), { name: 'DroverError', code: 'NAME_TAKEN', retryable: false })
  t.equal(api.seen.length, 1)
})

t.test('a refusal that stays is given at the deadline, in preference to an endpoint that is down', async (t) => {
  const api = await fakeApi(t, (_, response) => answerError(response, 503, 'NO_QUORUM', true))
  const client = new DroverClient({ endpoints: [api.url, await deadUrl()], secret })
  await t.rejects(client.status({ deadlineMs: triedAgainMs }), { code: 'NO_QUORUM' })
  t.ok(api.seen.length > 1, 'it was tried again')
})

t.test('that a write may still be done is not forgotten over later refusals', async (t) => {
  const api = await fakeApi(t, (_, response, count) => {
    const context = count === 1 ? { mayBeDoneLater: true } : {}
    answerError(response, 503, 'NO_QUORUM', true, context)
  })
  const client = new DroverClient({ endpoints: [api.url], secret })
  const error = await client.stop('web-1', {}, { deadlineMs: triedAgainMs }).catch((thrown) => thrown)
  t.match(error, { code: 'NO_QUORUM', context: { mayBeDoneLater: true } })
  t.ok(api.seen.length > 1, 'it was tried again')
})

t.test('when nobody listens the error names the endpoints, never the secret', async (t) => {
  const endpoint = await deadUrl()
  const client = new DroverClient({ endpoints: [endpoint], secret })
  const error = await client.status({ deadlineMs: triedAgainMs }).then(
    () => null,
    (thrown) => thrown,
  )
  t.match(error, { code: 'API_UNREACHABLE', retryable: true, message: /ECONNREFUSED/ })
  t.match(error.message, endpoint)
  t.notMatch(JSON.stringify(error), secret)
})

t.test('an answer that is not from drover is an INTERNAL error, whatever it is', async (t) => {
  const api = await fakeApi(t, (_, response, count) => {
    response.writeHead(count === 1 ? 200 : 502).end('<html>')
  })
  const client = new DroverClient({ endpoints: [api.url], secret })
  await t.rejects(client.status(), { code: 'INTERNAL', message: /not JSON/ })
  await t.rejects(client.status(), { code: 'INTERNAL', message: /502/ })
})

t.test('a call ends when its signal is aborted, also between two tries', async (t) => {
  const stop = new AbortController()
  const api = await fakeApi(t, (_, response, count) => {
    if (count === 2) stop.abort()
    answerError(response, 503, 'NO_QUORUM', true)
  })
  const client = new DroverClient({ endpoints: [api.url], secret })
  await t.rejects(client.status({ signal: stop.signal }), { name: 'AbortError' })
})

t.test('a name cannot lead to another path', async (t) => {
  const api = await fakeApi(t, (_, response) => answerError(response, 404, 'CONTAINER_NOT_FOUND', false))
  const client = new DroverClient({ endpoints: [api.url], secret })
  for (const name of ['..', '.', '']) await t.rejects(client.container(name), { code: 'BAD_REQUEST' })
  await t.rejects(client.container('../hosts?x'), { code: 'CONTAINER_NOT_FOUND' })
  t.match(api.seen, [{ url: '/v1/containers/..%2Fhosts%3Fx' }])
})
