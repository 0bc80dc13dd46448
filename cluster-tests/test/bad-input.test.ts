// Bad input on the command line, the API, the bus and every socket: a clear error, nothing changed, nobody died.

import { join } from 'node:path'
import { checkServerIdentity } from 'node:tls'
import { daemonKinds, ensureCertificate } from '@drover/cli/daemons'
import {
  agentService,
  busTlsName,
  encodeMessage,
  FrameType,
  protocolVersion,
  subjects,
  type TlsFiles,
} from '@drover/protocol'
import { ports } from '@drover/testkit/lab'
import { credentials, Metadata, makeGenericClientConstructor } from '@grpc/grpc-js'
import { connect } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { ask, firstFrame, frame, material, noise, say } from '../src/raw-connection.ts'
import { tell } from '../src/stories.ts'

await tell(t, async (story) => {
  const { lab, client } = story
  await story.must('launch', 'one', 'two')
  const one = await story.container('one')
  const before = await everything()
  const pidsBefore = pids()
  const place = lab.hosts[0]
  if (place === undefined) throw new Error('the laboratory has no host')

  await t.test('command line', async (t) => {
    const table: [string[], number, RegExp][] = [
      [['launch', 'three', '--host', 'nowhere'], 1, /nowhere/],
      [['launch', 'three', '--image', 'nothing'], 1, /image.*nothing/],
      [['launch', 'one'], 1, /one.*(taken|exists)/],
      [['launch', 'three', '--memory', '900GiB'], 1, /900(\.0)? GiB|INSUFFICIENT_MEMORY/],
      [['launch', 'Not_A_Name'], 2, /Not_A_Name/],
      [['launch', 'three', '--memory', 'lots'], 2, /lots/],
      [['launch', 'three', '--count', '0'], 2, /count/],
      [['move', 'nobody'], 1, /nobody/],
      [['move', 'one', 'nowhere'], 1, /nowhere/],
      [['move', 'one', one.host], 1, new RegExp(`one.*${one.host}`)],
      [['stop', 'nobody'], 1, /nobody/],
      [['start', 'one'], 1, /one/],
      [['thaw', 'one'], 1, /one/],
      [['delete', 'nobody'], 1, /nobody/],
      [['exec', 'nobody', '--', 'true'], 1, /nobody/],
      [['logs', 'nobody'], 1, /nobody/],
      [['info', 'nobody'], 1, /nobody/],
      [['host', 'evacuate', 'nowhere'], 1, /nowhere/],
      [['host', 'cordon', 'nowhere'], 1, /nowhere/],
      [['ops', 'wait', 'op-nothing'], 1, /op-nothing/],
      [['ops', 'cancel', 'op-nothing'], 1, /op-nothing/],
      [['image', 'build', 'cake'], 2, /cake/],
      [['lauch', 'three'], 2, /lauch/],
      [['ls', '--colour'], 2, /--colour/],
    ]
    for (const [args, code, message] of table) {
      const outcome = await lab.cli(args)
      t.match(outcome, { code, stderr: message, stdout: '' }, `drover ${args.join(' ')}`)
      t.notMatch(outcome.stderr, / at .*\.js:\d+/, 'no stack trace')
    }
    t.strictSame(await everything(), before, 'nothing changed')
  })

  await t.test('API', async (t) => {
    const [endpoint] = lab.endpoints
    const bearer = { authorization: `Bearer ${lab.secret}` }
    const json = { ...bearer, 'content-type': 'application/json' }
    const post = (path: string, body: string, headers: Record<string, string> = json) => [
      path,
      { method: 'POST', headers, body },
    ]
    const table = [
      ['broken JSON', ...post('/v1/containers', '{"name": '), 400, 'BAD_REQUEST'],
      ['not an object', ...post('/v1/containers', '[]'), 400, 'BAD_REQUEST'],
      ['a missing field', ...post('/v1/containers', '{}'), 400, 'BAD_REQUEST'],
      ['a wrong type', ...post('/v1/containers', '{"name":"x","cpuMilli":"many"}'), 400, 'BAD_REQUEST'],
      ['a number out of range', ...post('/v1/containers', '{"name":"x","memoryBytes":-1}'), 400, 'BAD_REQUEST'],
      ['an unknown field', ...post('/v1/containers', '{"name":"x","sudo":true}'), 400, 'BAD_REQUEST'],
      ['a name that is none', ...post('/v1/containers', '{"name":"../x"}'), 400, 'BAD_REQUEST'],
      ['two megabytes', ...post('/v1/containers', JSON.stringify({ name: 'x'.repeat(2 << 20) })), 413, 'TOO_LARGE'],
      ['an unknown container', ...post('/v1/containers/nobody/move', '{}'), 404, 'CONTAINER_NOT_FOUND'],
      ['an unknown host', ...post('/v1/hosts/nowhere/evacuate', '{}'), 404, 'HOST_NOT_FOUND'],
      ['the same host', ...post('/v1/containers/one/move', `{"host":"${one.host}"}`), 409, 'SAME_HOST'],
      ['a taken name', ...post('/v1/containers', '{"name":"one"}'), 409, 'NAME_TAKEN'],
      ['no such path', '/v1/nothing', { headers: bearer }, 404, 'ROUTE_NOT_FOUND'],
      ['a path that climbs', '/v1/containers/..%2f..%2fetc%2fpasswd', { headers: bearer }, [400, 404], undefined],
      ['no secret', '/v1/containers', {}, 401, 'UNAUTHENTICATED'],
      [
        'a wrong secret',
        '/v1/containers',
        { headers: { authorization: 'Bearer nonsense-nonsense' } },
        401,
        'UNAUTHENTICATED',
      ],
    ] as [string, string, RequestInit, number | number[], string | undefined][]
    for (const [what, path, request, status, code] of table) {
      const response = await fetch(`${endpoint}${path}`, request)
      const text = await response.text()
      t.ok([status].flat().includes(response.status), `${what}: ${response.status} is ${status}`)
      const body = JSON.parse(text) as { error: { code: string; message: string } }
      if (code !== undefined) t.equal(body.error.code, code, `${what}: ${body.error.message}`)
      t.notMatch(text, lab.secret, 'no secret in it')
    }
    t.strictSame(await everything(), before, 'nothing changed')
  })

  await t.test('engine socket', async (t) => {
    const path = place.engineSocketFromHere
    const request = (value: unknown) => frame(FrameType.json, JSON.stringify(value))
    const table: [string, Uint8Array, string][] = [
      ['an unknown method', request({ id: 1, method: 'destroy', params: {} }), 'BAD_REQUEST'],
      ['no method', request({ id: 1 }), 'BAD_REQUEST'],
      ['wrong types', request({ id: 1, method: 'start', params: { container: 7, epoch: 'x' } }), 'BAD_REQUEST'],
      ['broken JSON', frame(FrameType.json, '{"id": 1,'), 'BAD_REQUEST'],
      ['not an object', frame(FrameType.json, '[[[[1]]]]'), 'BAD_REQUEST'],
      [
        'an unknown container',
        request({ id: 1, method: 'start', params: { container: 'c999', epoch: 1 } }),
        'CONTAINER_NOT_FOUND',
      ],
      [
        'a path for a name',
        request({ id: 1, method: 'get', params: { container: '../../etc' } }),
        '(BAD_REQUEST|CONTAINER_NOT_FOUND)',
      ],
      ['an oversized frame', Buffer.from([0xff, 0xff, 0xff, 0x7f, 0]), 'TOO_LARGE'],
    ]
    for (const [what, bytes, code] of table) {
      const heard = await ask({ path }, bytes)
      t.match(firstFrame(heard.bytes), { error: { code: new RegExp(`^${code}$`), message: /./ } }, what)
    }
    for (const seed of [1, 2, 3]) await say({ path }, noise(seed, 65_536), 300)
    await nobodyDied(t)
  })

  await t.test('streams between agents', async (t) => {
    const target = { host: place.address, port: ports.stream }
    const tls = lab.tls(place.name)
    const hello = (more: object) =>
      frame(0, JSON.stringify({ protocolVersion, secret: lab.secret, kind: 'image', digest: 'sha256:0', ...more }))
    const table: [string, Uint8Array, string][] = [
      ['a wrong secret', hello({ secret: 'nonsense-nonsense' }), 'UNAUTHENTICATED'],
      ['another version', hello({ protocolVersion: 999 }), 'VERSION_MISMATCH'],
      ['an unknown kind', hello({ kind: 'gossip' }), 'BAD_REQUEST'],
      ['an unknown image', hello({}), '(IMAGE_NOT_FOUND|BAD_REQUEST)'],
      ['an unknown operation', hello({ kind: 'migration', operation: 'op-no', container: 'c1' }), '.*'],
      ['broken JSON', frame(0, '{'), 'BAD_REQUEST'],
      ['an oversized frame', Buffer.from([0xff, 0xff, 0xff, 0x7f, 0]), 'TOO_LARGE'],
    ]
    for (const [what, bytes, code] of table) {
      const heard = await say(target, bytes, 30_000, tls)
      t.match(firstFrame(heard.bytes), { kind: 'error', code: new RegExp(`^${code}$`), message: /./ }, what)
      t.ok(heard.closed, 'and the connection is closed')
    }
    for (const seed of [1, 2, 3]) await say(target, noise(seed, 65_536), 300, tls)
    await nobodyDied(t)
  })

  await t.test('gRPC of the agent: a wrong secret is refused', async (t) => {
    const Agent = makeGenericClientConstructor(agentService, 'Agent')
    const { ca, key, cert } = material(lab.tls(place.name))
    const trusted = credentials.createSsl(ca, key, cert, {
      checkServerIdentity: (_, shown) => checkServerIdentity(place.address, shown),
    })
    const agent = new Agent(`${place.address}:${ports.grpc}`, trusted, { 'grpc.ssl_target_name_override': 'agent' })
    t.teardown(() => agent.close())
    for (const secret of ['', 'nonsense-nonsense']) {
      const metadata = new Metadata()
      if (secret !== '') metadata.set('authorization', `Bearer ${secret}`)
      const code = await new Promise((resolve) => {
        const call = agent.logs?.(
          encodeMessage(FrameType.json, JSON.stringify({ container: one.id, follow: false, tailBytes: 10 })),
          metadata,
        )
        call.on('data', () => resolve('it answered'))
        call.on('error', (error: { code: number }) => resolve(error.code))
        call.on('end', () => resolve('it ended well'))
      })
      t.equal(code, 16, 'UNAUTHENTICATED')
    }
  })

  await t.test('whoever has no certificate of the cluster gets no word out of a host', async (t) => {
    const directory = t.testdir()
    const foreign = ensureCertificate({
      authority: join(directory, 'authority'),
      directory: join(directory, 'tls'),
      cluster: 'lab',
      host: place.name,
      addresses: [place.address],
    })
    const hello = frame(0, JSON.stringify({ protocolVersion, secret: lab.secret, kind: 'image', digest: 'sha256:0' }))
    const target = { host: place.address, port: ports.stream }
    // Its own authority is put aside, so that it is the host that has to refuse.
    const impostor = { ...foreign, authority: lab.tls(place.name).authority }
    for (const [who, tls] of [
      ['plain TCP', null],
      ['a foreign certificate', impostor],
    ] as const) {
      const heard = await say(target, hello, 30_000, tls)
      t.equal(firstFrame(heard.bytes), undefined, `${who}: no answer`)
      t.ok(heard.closed, `${who}: the connection is closed`)
    }
    for (const tls of [undefined, natsTls(impostor)]) {
      const servers = [`nats://${place.address}:${ports.nats}`]
      const options = { servers, token: lab.secret, reconnect: false, timeout: 3_000, ...(tls ? { tls } : {}) }
      await t.rejects(connect(options), `the bus: ${tls ? 'a foreign certificate' : 'none'}`)
    }
    await nobodyDied(t)
  })

  await t.test('noise on every TCP port', async (t) => {
    for (const host of lab.hosts) {
      for (const [name, port] of Object.entries(ports)) {
        const target = { host: host.address, port }
        await say(target, noise(port, 65_536), 300)
        await say(target, Buffer.alloc(64, 0xff), 300)
        await say(target, Buffer.alloc(64), 300)
        await say(target, 'GET / HTTP/1.1\r\n\r\n', 300)
        t.pass(`${name} of ${host.name} heard noise`)
      }
    }
    await nobodyDied(t)
  })

  await t.test('messages on the bus', async (t) => {
    const servers = [`nats://${place.address}:${ports.nats}`]
    const bus = await connect({ servers, token: lab.secret, tls: natsTls(lab.tls(place.name)) })
    t.teardown(() => bus.close())
    const nonsense = [
      '',
      '{',
      'null',
      '[]',
      '7',
      '{"cluster":"lab"}',
      '{"cluster":"lab","host":7}',
      '{"__proto__":{"a":1}}',
    ]
    const huge = JSON.stringify({ cluster: 'lab', host: 'a', padding: 'x'.repeat(4 << 20) })
    for (const text of [...nonsense, noise(5, 4_096), huge]) {
      bus.publish(subjects.reports('lab'), text)
      for (const host of lab.hosts) bus.publish(subjects.assignments('lab', host.name), text)
      const answer = await bus.request(subjects.pull('lab'), text, { timeout: 5_000 }).catch(() => null)
      if (answer !== null)
        t.match(answer.json(), { error: { code: 'BAD_REQUEST' } }, `pull with ${String(text).slice(0, 30)}`)
    }
    await bus.flush()
    await nobodyDied(t)
  })

  await t.test('an outsider gets nothing from the bus', async (t) => {
    await t.rejects(
      connect({
        servers: [`nats://${place.address}:${ports.nats}`],
        token: 'nonsense',
        tls: natsTls(lab.tls(place.name)),
        reconnect: false,
        timeout: 3_000,
      }),
    )
  })

  await t.test('after all that everything works, and it is the same cluster', async (t) => {
    t.strictSame(await everything(), before, 'nothing changed')
    t.strictSame(await story.everyOneRunsOnce(['one', 'two']), [])
    await story.must('move', 'one')
    t.equal((await lab.cli(['exec', 'one', '--', 'echo', 'alive'])).stdout, 'alive\n')
  })

  function natsTls({ authority, certificate, key }: TlsFiles) {
    return { caFile: authority, certFile: certificate, keyFile: key, servername: busTlsName }
  }

  /** What the cluster holds, without what changes by itself: on a busy machine a host may be silent for a moment. */
  async function everything() {
    await lab.whole()
    const [containers, hosts, images, operations] = await Promise.all([
      client.containers(),
      client.hosts(),
      client.images(),
      client.operations(),
    ])
    return {
      containers,
      images,
      hosts: hosts.map(({ name, cordoned, status, requested, images }) => ({
        name,
        cordoned,
        status,
        requested,
        images,
      })),
      operations: operations.map(({ id, state }) => ({ id, state })),
    }
  }

  function pids(): Record<string, number | null> {
    return Object.fromEntries(
      lab.hosts.flatMap(({ name }) => daemonKinds.map((kind) => [`${kind} of ${name}`, lab.pidOf(name, kind)])),
    )
  }

  async function nobodyDied(t: Test) {
    t.strictSame(pids(), pidsBefore, 'every daemon lives on')
    const status = await lab.whole()
    t.ok(status.leader)
  }
})
