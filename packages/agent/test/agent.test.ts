// One agent with a simulated engine, told what to do by the test's leader.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { agentService, decodeMessage, encodeMessage, FrameType, type HostReport } from '@drover/protocol'
import { credentials, Metadata, makeGenericClientConstructor, type ServiceDefinition } from '@grpc/grpc-js'
import t from 'tap'
import { addTinyImage, assignmentFor, secret, TestCluster, type TestHost, withoutNats } from './harness.ts'

interface One {
  cluster: TestCluster
  a: TestHost
  image: string
}

async function oneHost(test: Pick<typeof t, 'teardown'>): Promise<One> {
  const cluster = await TestCluster.start(test)
  const image = await addTinyImage(join(cluster.directory, 'a', 'agent'))
  return { cluster, a: await cluster.addHost('a'), image }
}

const containerOf = (report: HostReport | undefined, container: string) =>
  report?.containers.find((one) => one.container === container)

async function running({ cluster, image }: One, container = 'c1'): Promise<void> {
  cluster.assign('a', assignmentFor(container, image))
  await cluster.until(`${container} runs`, () => cluster.state('a', container) === 'running')
}

t.test('agent', { skip: withoutNats }, async (t) => {
  await t.test('reports its host whole: ports, capacity, features, images', async (t) => {
    const { cluster, image } = await oneHost(t)
    const report = cluster.report('a')
    t.match(report, {
      host: 'a',
      address: '127.0.0.1',
      engineUp: true,
      images: [image],
      containers: [],
      migrations: [],
    })
    t.match(report?.features, { engine: 'simulated', criu: { usable: true } })
    t.ok((report?.grpcPort ?? 0) > 0 && (report?.streamPort ?? 0) > 0)
    t.ok((report?.capacity.memoryBytes ?? 0) > 0 && (report?.capacity.cpuMilli ?? 0) >= 1000)
  })

  await t.test('a container goes through every power state and leaves nothing', async (t) => {
    const one = await oneHost(t)
    const { cluster, a, image } = one
    await running(one)
    for (const [desired, state] of [
      ['frozen', 'frozen'],
      ['running', 'running'],
      ['stopped', 'stopped'],
      ['running', 'running'],
    ] as const) {
      const { revision } = cluster.assign('a', assignmentFor('c1', image, { desired }))
      await cluster.until(`${state} at ${revision}`, () => {
        const seen = containerOf(cluster.report('a'), 'c1')
        return seen?.state === state && seen.revision === revision
      })
    }
    t.equal(containerOf(cluster.report('a'), 'c1')?.starts, 2)
    cluster.assign('a', assignmentFor('c1', image, { role: 'none' }))
    await cluster.until('gone', () => cluster.state('a', 'c1') === undefined)
    t.equal(a.engineState('c1'), undefined)
  })

  await t.test('a new name reaches the engine, and the container runs on', async (t) => {
    const one = await oneHost(t)
    const { cluster, a, image } = one
    await running(one)
    const { revision } = cluster.assign('a', assignmentFor('c1', image, { name: 'shop' }))
    await cluster.until('renamed', () => {
      const seen = containerOf(cluster.report('a'), 'c1')
      return seen?.revision === revision && seen.configured === true
    })
    t.equal(a.engine.containers.get('c1').name, 'shop')
    t.match(a.engine.containers.get('c1'), { state: 'running', starts: 1 })
  })

  await t.test('many containers at once all come up', async (t) => {
    const { cluster, image } = await oneHost(t)
    for (let serial = 1; serial <= 40; serial++) cluster.assign('a', assignmentFor(`c${serial}`, image))
    await cluster.until(
      '40 run',
      () => cluster.report('a')?.containers.filter(({ state }) => state === 'running').length === 40,
    )
    t.equal(cluster.report('a')?.used.memoryBytes, 40 << 20)
  })

  await t.test(
    'one that powers off by itself is reported stopped and not started, until it is asked for again',
    async (t) => {
      const one = await oneHost(t)
      const { cluster, a, image } = one
      await running(one)
      a.engine.containers.end('c1', 'poweroff')
      await cluster.until('stopped', () => cluster.state('a', 'c1') === 'stopped')
      t.match(containerOf(cluster.report('a'), 'c1'), { message: 'powered off', errorCode: null })
      await a.agent.stop()
      await a.startAgent()
      await cluster.until(
        'the restarted agent reports',
        () => (cluster.report('a')?.sequence ?? 99) < 3 && cluster.state('a', 'c1') === 'stopped',
      )
      t.equal(a.engineState('c1'), 'stopped', 'nor by a restarted agent')
      cluster.assign('a', assignmentFor('c1', image))
      await cluster.until('runs again', () => cluster.state('a', 'c1') === 'running')
    },
  )

  await t.test('a step that fails is reported with its reason and tried again', async (t) => {
    const { cluster, a, image } = await oneHost(t)
    a.engine.faults.add({
      method: 'start',
      container: 'c1',
      code: 'ENGINE_FAILED',
      message: 'clone3: EAGAIN',
      times: 2,
    })
    let failed: unknown = null
    cluster.assign('a', assignmentFor('c1', image))
    await cluster.until('failed, then running', () => {
      const seen = containerOf(cluster.report('a'), 'c1')
      if (seen?.state === 'failed') failed = { code: seen.errorCode, message: seen.message }
      return seen?.state === 'running'
    })
    t.same(failed, { code: 'ENGINE_FAILED', message: 'clone3: EAGAIN' })
    t.equal(containerOf(cluster.report('a'), 'c1')?.errorCode, null, 'and forgotten when it succeeds')
  })

  await t.test('a missing image that nobody has: failed with that reason', async (t) => {
    const { cluster } = await oneHost(t)
    cluster.assign('a', assignmentFor('c1', `sha256:${'f'.repeat(64)}`))
    await cluster.until('failed', () => cluster.state('a', 'c1') === 'failed')
    t.match(containerOf(cluster.report('a'), 'c1'), { errorCode: 'IMAGE_NOT_FOUND', message: /ffff.*no host is named/ })
  })

  await t.test('what a complete batch lacks is removed', async (t) => {
    const one = await oneHost(t)
    await running(one)
    await running(one, 'c2')
    one.cluster.unassign('a', 'c1')
    await one.cluster.until('c1 is gone', () => one.cluster.state('a', 'c1') === undefined)
    t.equal(one.a.engineState('c2'), 'running')
  })

  await t.test('garbage on the bus changes nothing', async (t) => {
    const one = await oneHost(t)
    const { cluster, a, image } = one
    await running(one)
    const good = { ...assignmentFor('c1', image, { role: 'none' }), revision: 99 }
    const head = { term: 1, index: 99, complete: true, imageTasks: [] }
    for (const bad of [
      'not json',
      '[]',
      { ...head },
      { ...head, assignments: [{ ...good, epoch: 'two' }] },
      { ...head, assignments: [{ ...good, desired: 'exploded' }] },
      { ...head, assignments: {} },
      { ...head, term: 0, assignments: [] },
    ]) {
      cluster.publish('a', bad)
    }
    await running(one, 'c2')
    t.equal(a.engineState('c1'), 'running')
  })

  await t.test('the engine restarts: the agent says so, and goes on with what there is', async (t) => {
    const one = await oneHost(t)
    const { cluster, a } = one
    await running(one)
    await a.engine.close()
    await cluster.until('engine down', () => cluster.report('a')?.engineUp === false)
    await a.startEngine()
    await cluster.until('engine up', () => cluster.report('a')?.engineUp === true)
    t.match(containerOf(cluster.report('a'), 'c1'), { state: 'running', starts: 1 })
    await running(one, 'c2')
  })

  await t.test('a restarted agent touches no container and needs no controller', async (t) => {
    const one = await oneHost(t)
    const { cluster, a } = one
    await running(one)
    const pid = containerOf(cluster.report('a'), 'c1')?.initPid
    await a.agent.stop()
    await a.startAgent()
    await cluster.until(
      'reports again',
      () => cluster.state('a', 'c1') === 'running' && (cluster.report('a')?.sequence ?? 99) < 5,
    )
    t.match(containerOf(cluster.report('a'), 'c1'), { initPid: pid, starts: 1, revision: 1 })
  })

  await t.test('after its host has booted, containers are started again in their order, or left', async (t) => {
    const one = await oneHost(t)
    const { cluster, a, image } = one
    const assign = (container: string, autostart: { enabled: boolean; order: number }) => {
      const assignment = assignmentFor(container, image)
      cluster.assign('a', { ...assignment, spec: { ...assignment.spec, autostart: { ...autostart, delayMs: 0 } } })
    }
    assign('c1', { enabled: true, order: 0 })
    assign('c2', { enabled: true, order: 5 })
    assign('c3', { enabled: false, order: 9 })
    await cluster.until('all run', () => ['c1', 'c2', 'c3'].every((each) => cluster.state('a', each) === 'running'))
    await a.engine.close()
    const order: string[] = []
    await a.startEngine('another-boot')
    a.engine.containers.onChange(({ container, state }) => state === 'running' && order.push(container))
    await cluster.until('two run', () =>
      ['c1', 'c2'].every((each) => containerOf(cluster.report('a'), each)?.starts === 2),
    )
    t.same(order, ['c2', 'c1'])
    t.match(containerOf(cluster.report('a'), 'c3'), { state: 'stopped', starts: 1, message: 'its host went down' })
  })

  await t.test('after a boot nothing starts before a controller has said what is still here', async (t) => {
    const one = await oneHost(t)
    const { cluster, a } = one
    await running(one)
    await a.agent.stop()
    await a.engine.close()
    cluster.answersPulls = false
    await a.startEngine('another-boot')
    await a.startAgent()
    const told = () => containerOf(cluster.report('a'), 'c1')?.message ?? ''
    await cluster.until('its end is told', () => told().startsWith('its host went down'))
    t.equal(a.engineState('c1'), 'stopped')
    // A push of something else is no list.
    cluster.assign('a', assignmentFor('c2', one.image))
    await cluster.until('the other runs', () => cluster.state('a', 'c2') === 'running')
    t.equal(a.engineState('c1'), 'stopped')
    cluster.answersPulls = true
    await cluster.until('it runs', () => cluster.state('a', 'c1') === 'running')
    t.match(containerOf(cluster.report('a'), 'c1'), { starts: 2 })
  })

  await t.test('an image build that fails is reported with its code', async (t) => {
    const { cluster } = await oneHost(t)
    cluster.buildImage('a', { operation: 'build-1', recipe: 'windows', name: 'windows', revision: 1 })
    await cluster.until('failed', () => cluster.report('a')?.imageTasks[0]?.state === 'failed')
    t.match(cluster.report('a')?.imageTasks[0], { operation: 'build-1', image: null, error: { code: 'BAD_REQUEST' } })
  })

  await t.test('gRPC: exec and logs', async (t) => {
    const one = await oneHost(t)
    await running(one)
    const call = grpcClient(one)
    t.teardown(() => call.close())
    const said = await call.exec({ container: 'c1', command: ['echo', 'hello', 'there'] })
    t.same(said, { stdout: 'hello there\n', exitCode: 0, error: null })
    t.match(await call.exec({ container: 'c1', command: ['sh', '-c', 'exit 3'] }), { exitCode: 3 })
    const big = 'x'.repeat(3 << 20)
    const echoed = await call.exec({ container: 'c1', command: ['cat'] }, big)
    t.equal(echoed.stdout.length, big.length, 'three megabytes there and back')
    t.match(await call.exec({ container: 'c9', command: ['true'] }), { error: /CONTAINER_NOT_FOUND/ })
    t.match(await call.exec({ container: '../x', command: ['true'] }), { error: /BAD_REQUEST.*container/ })
    t.match(await call.exec({ container: 'c1', command: [] }), { error: /BAD_REQUEST.*command/ })
    t.match(await call.logs({ container: 'c1', follow: false, tailBytes: null }), { stdout: /init started/ })
    t.match(await call.logs({ container: 'c1', follow: false, tailBytes: 4 }), { stdout: /^.{4}$/s })
    t.match(await call.logs({ container: 'c9', follow: false, tailBytes: null }), { error: /CONTAINER_NOT_FOUND/ })
    const stranger = grpcClient(one, 'wrong')
    t.teardown(() => stranger.close())
    t.match(await stranger.exec({ container: 'c1', command: ['true'] }), { error: /UNAUTHENTICATED/, exitCode: null })
    t.match(await stranger.logs({ container: 'c1', follow: false, tailBytes: null }), { error: /UNAUTHENTICATED/ })
  })

  await t.test('the data directory holds what the README says', async (t) => {
    const one = await oneHost(t)
    await running(one)
    t.ok(existsSync(join(one.a.config.dataDirectory, 'assignments', 'journal')))
  })
})

interface Outcome {
  stdout: string
  exitCode: number | null
  error: string | null
}

function grpcClient({ cluster }: One, token = secret) {
  const Client = makeGenericClientConstructor(agentService as unknown as ServiceDefinition, 'Agent')
  const client = new Client(`127.0.0.1:${cluster.report('a')?.grpcPort}`, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  const collect = (stream: NodeJS.ReadableStream): Promise<Outcome> =>
    new Promise((resolve) => {
      const outcome: Outcome = { stdout: '', exitCode: null, error: null }
      stream.on('data', (message: Buffer) => {
        const { type, payload } = decodeMessage(message)
        const text = Buffer.from(payload).toString()
        if (type === FrameType.stdout) outcome.stdout += text
        else if (type === FrameType.exit) outcome.exitCode = JSON.parse(text).exitCode
        else if (type === FrameType.error) outcome.error = text
      })
      stream.on('error', (error) => {
        outcome.error = error.message
        resolve(outcome)
      })
      stream.on('end', () => resolve(outcome))
    })
  return {
    exec(request: { container: string; command: string[] }, input = ''): Promise<Outcome> {
      const stream = (client.exec as (metadata: Metadata) => NodeJS.ReadWriteStream)(metadata)
      const defaults = { terminal: null, environment: {}, directory: null, user: null }
      stream.write(encodeMessage(FrameType.json, JSON.stringify({ ...defaults, ...request })))
      for (let at = 0; at < input.length; at += 100_000) {
        stream.write(encodeMessage(FrameType.stdin, input.slice(at, at + 100_000)))
      }
      stream.write(encodeMessage(FrameType.stdinEnd))
      return collect(stream)
    },
    logs(request: object): Promise<Outcome> {
      const message = encodeMessage(FrameType.json, JSON.stringify(request))
      return collect((client.logs as (message: Buffer, metadata: Metadata) => NodeJS.ReadableStream)(message, metadata))
    },
    close: () => client.close(),
  }
}
