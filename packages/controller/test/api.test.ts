// The API as its users meet it: bad input is answered with the field and the rule and changes nothing; good input once.

import { type Container, errorCodes, type Operation } from '@drover/protocol'
import t from 'tap'
import { encodeSnapshot } from '../src/core/state.ts'
import { apiFixture, secret } from './support/api-fixture.ts'

t.test('bad input: a clear error, and nothing changes', async (t) => {
  const { api, call, context } = await apiFixture(t)
  await call('POST', '/v1/containers', { body: { name: 'web', host: 'a' } })
  // A refusal is an entry too: only the index goes on.
  const picture = () => Buffer.from(encodeSnapshot({ ...context.machine.state, index: 0 })).toString()
  const before = picture()
  type Case = [string, 'GET' | 'POST' | 'DELETE', string, Parameters<typeof call>[2], keyof typeof errorCodes, RegExp]
  const cases: Case[] = [
    ['garbage JSON', 'POST', '/v1/containers', { text: '{"name":' }, 'BAD_REQUEST', /JSON/],
    ['JSON that is no object', 'POST', '/v1/containers', { text: '"x"' }, 'BAD_REQUEST', /body: must be object/],
    [
      'a prototype in it',
      'POST',
      '/v1/containers',
      { text: '{"name":"x","__proto__":{}}' },
      'BAD_REQUEST',
      /not valid JSON/,
    ],
    ['no name', 'POST', '/v1/containers', { body: {} }, 'BAD_REQUEST', /body: .*name/],
    ['no body', 'POST', '/v1/containers', {}, 'BAD_REQUEST', /name/],
    [
      'a bad name',
      'POST',
      '/v1/containers',
      { body: { name: 'Web_1' } },
      'BAD_REQUEST',
      /body\.name: .*pattern.*"Web_1"/,
    ],
    [
      'a wrong type',
      'POST',
      '/v1/containers',
      { body: { name: 'x', cpuMilli: '1' } },
      'BAD_REQUEST',
      /body\.cpuMilli: must be integer; it is "1"/,
    ],
    [
      'too little memory',
      'POST',
      '/v1/containers',
      { body: { name: 'x', memoryBytes: 1 } },
      'BAD_REQUEST',
      /body\.memoryBytes: .*4194304.*it is 1/,
    ],
    ['an unknown field', 'POST', '/v1/containers', { body: { name: 'x', colour: 1 } }, 'BAD_REQUEST', /colour/],
    [
      'a bad mode',
      'POST',
      '/v1/containers/web/move',
      { body: { mode: 'warm' } },
      'BAD_REQUEST',
      /body\.mode: must be one of "live", "cold"; it is "warm"/,
    ],
    ['a body over 1 MiB', 'POST', '/v1/containers', { text: `"${'x'.repeat(1 << 20)}"` }, 'TOO_LARGE', /1 MiB/],
    [
      'another media type',
      'POST',
      '/v1/containers',
      { text: 'x', headers: { 'content-type': 'text/csv' } },
      'BAD_REQUEST',
      /media type/i,
    ],
    ['an unknown route', 'GET', '/v1/pods', {}, 'ROUTE_NOT_FOUND', /\/v1\/pods/],
    ['an unknown method', 'DELETE', '/v1/status', {}, 'ROUTE_NOT_FOUND', /DELETE/],
    ['an unknown container', 'GET', '/v1/containers/nobody', {}, 'CONTAINER_NOT_FOUND', /nobody/],
    ['moving an unknown container', 'POST', '/v1/containers/nobody/move', {}, 'CONTAINER_NOT_FOUND', /nobody/],
    ['deleting an unknown container', 'DELETE', '/v1/containers/nobody', {}, 'CONTAINER_NOT_FOUND', /nobody/],
    ['a name that is a path', 'GET', '/v1/containers/..%2F..%2Fetc', {}, 'BAD_REQUEST', /params\.name/],
    ['an unknown host', 'GET', '/v1/hosts/nowhere', {}, 'HOST_NOT_FOUND', /nowhere/],
    ['emptying an unknown host', 'POST', '/v1/hosts/nowhere/evacuate', {}, 'HOST_NOT_FOUND', /nowhere/],
    [
      'moving to an unknown host',
      'POST',
      '/v1/containers/web/move',
      { body: { host: 'nowhere' } },
      'HOST_NOT_FOUND',
      /nowhere/,
    ],
    [
      'moving to the same host',
      'POST',
      '/v1/containers/web/move',
      { body: { host: 'a' } },
      'SAME_HOST',
      /on a already/,
    ],
    ['moving while launching', 'POST', '/v1/containers/web/move', { body: { host: 'b' } }, 'BUSY', /under way/],
    [
      'an unknown image',
      'POST',
      '/v1/containers',
      { body: { name: 'x', image: 'arch' } },
      'IMAGE_NOT_FOUND',
      /there is no image arch/,
    ],
    ['a name that is taken', 'POST', '/v1/containers', { body: { name: 'web' } }, 'NAME_TAKEN', /web/],
    ['no capacity', 'POST', '/v1/containers', { body: { name: 'x', memoryBytes: 2 ** 50 } }, 'NO_CAPACITY', /memory/],
    ['an unknown operation', 'GET', '/v1/operations/x', {}, 'OPERATION_NOT_FOUND', /x/],
    ['cancelling an unknown operation', 'POST', '/v1/operations/x/cancel', {}, 'OPERATION_NOT_FOUND', /x/],
    [
      'an overlong key',
      'POST',
      '/v1/hosts/a/cordon',
      { headers: { 'idempotency-key': 'k'.repeat(201) } },
      'BAD_REQUEST',
      /idempotency-key/,
    ],
    [
      'parallel out of range',
      'POST',
      '/v1/hosts/a/evacuate',
      { body: { parallel: 0 } },
      'BAD_REQUEST',
      /body\.parallel/,
    ],
    ['thawing what isn’t frozen', 'POST', '/v1/containers/web/thaw', {}, 'BUSY', /launch/],
  ]
  for (const [name, method, url, options, code, message] of cases) {
    const { status, body } = await call(method, url, options)
    t.match(body, { error: { code, message } }, name)
    t.equal(status, errorCodes[code].status, name)
    t.notMatch(JSON.stringify(body), secret)
  }
  for (const authorization of ['', 'Bearer wrong', secret, `bearer ${secret}`]) {
    for (const url of [
      '/v1/status',
      '/v1/events',
      '/%76%31/status',
      '/v1/containers/web/exec',
      '/v1/containers/web/logs',
    ]) {
      const response = await api.inject({ method: 'GET', url, headers: { authorization } })
      t.equal(response.statusCode, 401, `${url} with ${authorization}`)
      t.match(response.json(), { error: { code: 'UNAUTHENTICATED' } })
    }
  }
  t.equal(picture(), before, 'nothing changed')
})

t.test('the same key gives the same operation, however often and together', async (t) => {
  const { call, context } = await apiFixture(t)
  const headers = { 'idempotency-key': 'mine' }
  const launch = () => call<Operation>('POST', '/v1/containers', { body: { name: 'web' }, headers })
  const answers = await Promise.all([launch(), launch(), launch()])
  answers.push(await launch())
  t.strictSame(new Set(answers.map(({ status }) => status)), new Set([202]))
  t.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  t.equal(context.machine.state.tables.containers.size, 1)
})

t.test('without CRIU a live move is refused with its reason, a cold one is not', async (t) => {
  const { call, models, report, context } = await apiFixture(t, [{ name: 'a', migratable: false }, { name: 'b' }])
  await call('POST', '/v1/containers', { body: { name: 'web', host: 'a' } })
  const { completeBatch } = await import('../src/core/assignments.ts')
  models.get('a')!.receive(completeBatch(context.machine.state, 'a', 1))
  models.get('a')!.act()
  await report('a')
  t.match((await call('GET', '/v1/containers/web')).body, { state: 'running' })
  t.match(await call('POST', '/v1/containers/web/move', { body: { host: 'b' } }), {
    status: 409,
    body: { error: { code: 'NOT_MIGRATABLE', message: /none passes/ } },
  })
  t.match(await call('POST', '/v1/containers/web/move', { body: { host: 'b', mode: 'cold' } }), { status: 202 })
})

t.test('health, readiness and the description need no secret', async (t) => {
  const { api } = await apiFixture(t)
  for (const url of ['/healthz', '/readyz']) t.equal((await api.inject({ url })).statusCode, 200, url)
  const { openapi, paths } = (await api.inject({ url: '/openapi.json' })).json()
  t.match(openapi, /^3\./)
  for (const path of [
    '/v1/status',
    '/v1/containers/{name}/move',
    '/v1/hosts/{name}/evacuate',
    '/v1/operations/{id}/cancel',
  ]) {
    t.ok(paths[path], path)
  }
  t.match(paths['/v1/containers'].post.requestBody.content['application/json'].schema.required, ['name'])
})

t.test('what each read answers', async (t) => {
  const { call } = await apiFixture(t)
  const launched = await call<Operation>('POST', '/v1/containers', {
    body: { name: 'web', host: 'b', labels: { tier: 'front' } },
  })
  t.match(launched, {
    status: 202,
    body: { kind: 'launch', target: 'web', state: 'running', parent: null, error: null },
  })
  t.match((await call('GET', '/v1/status')).body, {
    cluster: 'test',
    controller: 'one',
    leader: 'one',
    hosts: 2,
    hostsReady: 2,
    containers: 1,
    operationsRunning: 1,
  })
  const { body: container } = await call<Record<string, unknown>>('GET', '/v1/containers/web')
  t.match(container, {
    host: 'b',
    state: 'pending',
    placement: { chosen: 'b', reason: String, hosts: Array },
    spec: { labels: { tier: 'front' } },
  })
  t.notOk('assignedRevision' in container, 'what is the controller’s own stays inside')
  t.match((await call('GET', '/v1/hosts/b')).body, {
    status: 'ready',
    containers: 1,
    requested: { memoryBytes: 64 << 20 },
  })
  t.match(container.spec, { limits: { memoryBytes: 1 << 30 } }, 'placed as small, and not held to that')
  await call('POST', '/v1/containers', { body: { name: 'tiny', memoryBytes: 64 << 20 } })
  t.equal(
    (await call<Container>('GET', '/v1/containers/tiny')).body.spec.limits?.memoryBytes ?? null,
    null,
    'what is asked for by name is the limit too',
  )
  t.match((await call('GET', '/v1/images')).body, [{ name: 'busybox' }])
  t.match((await call('GET', `/v1/operations/${launched.body.id}?stale=1`)).body, { id: launched.body.id })
})

t.test('events: what comes, what came after the last one seen, and only those of an operation', async (t) => {
  const { api, call, context } = await apiFixture(t)
  await api.listen({ host: '127.0.0.1', port: 0 })
  const address = api.server.address() as { port: number }
  const read = async (query: string, headers: Record<string, string>, until: RegExp): Promise<string> => {
    const ending = new AbortController()
    const response = await fetch(`http://127.0.0.1:${address.port}/v1/events${query}`, {
      headers: { authorization: `Bearer ${secret}`, ...headers },
      signal: ending.signal,
    })
    let text = ''
    for await (const chunk of response.body!) {
      text += Buffer.from(chunk).toString()
      if (until.test(text)) break
    }
    ending.abort()
    return text
  }
  const headers = { 'idempotency-key': 'one' }
  const { body } = await call<Operation>('POST', '/v1/containers', { body: { name: 'web' }, headers })
  await call('POST', '/v1/hosts/b/cordon')
  const all = await read('', { 'last-event-id': '0' }, /host\.cordoned/)
  t.match(all, /host\.joined/)
  t.match(all, /container\.launched/)
  const after = context.machine.state.index - 1
  t.notMatch(await read('', { 'last-event-id': String(after) }, /host\.cordoned/), /container\.launched/)
  const own = await read(`?operation=${body.id}`, { 'last-event-id': '0' }, /container\.launched/)
  t.notMatch(own, /host\.joined/)
  const live = read('', {}, /container\.launched/)
  while (context.events.listeners === 0) await new Promise((resolve) => setImmediate(resolve))
  await call('POST', '/v1/containers', { body: { name: 'later' } })
  t.match(await live, /"target":"later"/)
  t.match(await call('GET', '/v1/events', { headers: { 'last-event-id': 'x' } }), { status: 400 })
})

t.test('a leader that has heard nothing yet waits for its hosts before it refuses', async (t) => {
  const { call, context, report } = await apiFixture(t)
  // As a new leader’s memory is: committed hosts, no reports.
  const heard = context.reports.reports as Map<string, unknown>
  heard.clear()
  context.reports.listenSince(Date.now())
  let asked = 0
  context.now = () => {
    asked += 1
    return Date.now()
  }
  const launched = call<Operation>('POST', '/v1/containers', { body: { name: 'web' } })
  while (asked === 0) await new Promise((resolve) => setImmediate(resolve))
  for (const host of ['a', 'b']) await report(host)
  t.match(await launched, { status: 202, body: { kind: 'launch', target: 'web' } })
})
