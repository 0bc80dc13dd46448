// Three controllers on Raft, as processes: followers forward, and the leader's death in the middle of moves and of an
// evacuation costs a moment and nothing else.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterStatus, Container, ControllerConfig, HostView, Operation } from '@drover/protocol'
import { isRaftAvailable } from '@drover/raft'
import { removeDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { BusAgent } from './support/bus-agent.ts'
import { ControllerProcess, notBuilt } from './support/controller-process.ts'
import { ModelHost, type Wire } from './support/model-host.ts'
import { freePort, loopback, natsMissing, natsProcess, waitFor } from './support/nats-process.ts'

const secret = 'a-secret-for-tests-0123'
const raft = isRaftAvailable()
const skip = natsMissing() || notBuilt() || (raft.available ? false : `no RaftLog: ${raft.reason}`)

t.test('three controllers', { skip }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'drover-three-'))
  const nats = await natsProcess(secret)
  const wire: Wire = { sent: new Set() }
  const members = await Promise.all(
    [1, 2, 3].map(async (id) => ({
      id,
      name: `m${id}`,
      address: `${loopback}:${await freePort()}`,
      api: `${loopback}:${await freePort()}`,
    })),
  )
  const controllers = members.map(({ id, name, api }) => {
    const config: ControllerConfig = {
      cluster: 'test',
      name,
      dataDirectory: join(directory, name),
      apiAddress: loopback,
      apiPort: Number(api.split(':')[1]),
      secret,
      natsServers: [nats.url],
      raft: { id, members },
      containerNetwork: '10.77.0.0/16',
      gateway: null,
    }
    return new ControllerProcess(config)
  })
  const agents: BusAgent[] = []
  t.teardown(async () => {
    for (const agent of agents) await agent.close()
    for (const controller of controllers) await controller.stop()
    await nats.stop()
    await removeDirectory(directory)
  })
  await Promise.all(controllers.map((controller) => controller.start()))
  for (const name of ['a', 'b', 'c']) {
    agents.push(await BusAgent.start(new ModelHost({ name, wire }), 'test', nats.url, secret))
  }
  const hosts = agents.map(({ host }) => host)

  /** Through any controller that lives, as the client does it. */
  const call = async <T>(method: string, path: string, body?: unknown, via?: ControllerProcess): Promise<T> => {
    const key = `${Math.random()}`
    return await waitFor(`${method} ${path}`, async () => {
      const controller = via ?? controllers.filter(({ alive }) => alive)[Math.floor(Math.random() * 2)]
      const response = await fetch(`${controller?.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${secret}`,
          'idempotency-key': key,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }).catch(() => null)
      const answer = (response && (await response.json())) as { error: { retryable: boolean } } | null
      if (response?.ok) return answer as T
      if (answer && !answer.error.retryable) throw new Error(`${method} ${path}: ${JSON.stringify(answer.error)}`)
      return null
    })
  }
  const done = (operation: Operation): Promise<Operation> =>
    waitFor(
      `${operation.kind} ${operation.target} to end`,
      async () => {
        const now = await call<Operation>('GET', `/v1/operations/${operation.id}`)
        return now.state === 'running' ? null : now
      },
      60_000,
    )
  const leader = () =>
    waitFor('a leader', async () => {
      for (const controller of controllers.filter(({ alive }) => alive)) {
        const status = await call<ClusterStatus>('GET', '/v1/status?stale=1', undefined, controller)
        const named = controllers.find(({ config }) => config.name === status.leader)
        if (named?.alive) return named
      }
      return null
    })
  const killLeader = async () => {
    const killed = await leader()
    await killed.kill()
    return killed
  }
  const checkAll = async (count: number) => {
    const containers = await call<Container[]>('GET', '/v1/containers')
    t.equal(containers.length, count)
    for (const { id, name, host, state, starts } of containers) {
      t.match({ state, starts }, { state: 'running', starts: 1 }, name)
      const executing = hosts.filter((each) => each.executing().some(({ container }) => container === id))
      t.strictSame(
        executing.map((each) => each.name),
        [host],
        name,
      )
    }
  }

  await waitFor('three hosts to be ready', async () => {
    const views = await call<HostView[]>('GET', '/v1/hosts')
    return views.filter(({ status }) => status === 'ready').length === 3
  })
  await done(await call<Operation>('POST', '/v1/images', { recipe: 'busybox' }))

  await t.test('a follower forwards reads and writes', async (t) => {
    const leading = await leader()
    const follower = controllers.find((controller) => controller !== leading)!
    const begun = await call<Operation>('POST', '/v1/containers', { name: 'web-1' }, follower)
    t.match(await done(begun), { state: 'done' })
    const read = await call<Container>('GET', '/v1/containers/web-1', undefined, follower)
    t.equal(read.state, 'running')
    const refused = await fetch(`${follower.url}/v1/containers/nobody`, {
      headers: { authorization: `Bearer ${secret}` },
    })
    t.match(await refused.json(), { error: { code: 'CONTAINER_NOT_FOUND' } })
    t.equal(refused.status, 404)
  })

  await t.test('the leader dies while containers are launched', async () => {
    const names = Array.from({ length: 11 }, (_, index) => `web-${index + 2}`)
    const launching = names.map((name) => call<Operation>('POST', '/v1/containers', { name }))
    const killed = await killLeader()
    for (const begun of launching) await done(await begun)
    await killed.start()
    await checkAll(12)
  })

  await t.test('the leader dies in the middle of a move', async (t) => {
    const before = await call<Container>('GET', '/v1/containers/web-1')
    const to = hosts.find(({ name }) => name !== before.host)!.name
    const begun = await call<Operation>('POST', '/v1/containers/web-1/move', { host: to })
    const killed = await killLeader()
    const ended = await done(begun)
    const after = await call<Container>('GET', '/v1/containers/web-1')
    t.equal(after.host, ended.state === 'done' ? to : before.host)
    await killed.start()
    await checkAll(12)
  })

  await t.test('the leader dies in the middle of an evacuation', async (t) => {
    const begun = await call<Operation>('POST', '/v1/hosts/a/evacuate', { parallel: 2 })
    const killed = await killLeader()
    const ended = await done(begun)
    t.match(ended, { state: 'done' })
    t.match(await call<HostView>('GET', '/v1/hosts/a'), { containers: 0, cordoned: true })
    await killed.start()
    await checkAll(12)
  })

  await t.test('a minority refuses by name, and says what it knows only when asked to', async (t) => {
    const leading = await leader()
    const others = controllers.filter((controller) => controller !== leading)
    for (const controller of others) await controller.kill()
    const refused = await waitFor(
      'NO_QUORUM',
      async () => {
        const response = await fetch(`${leading.url}/v1/containers`, {
          method: 'POST',
          headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
          body: JSON.stringify({ name: 'lonely' }),
        })
        const body = (await response.json()) as { error?: { code: string } }
        return body.error?.code === 'NO_QUORUM' ? response.status : null
      },
      90_000,
    )
    t.equal(refused, 503)
    const stale = await fetch(`${leading.url}/v1/containers?stale=1`, {
      headers: { authorization: `Bearer ${secret}` },
    })
    t.equal(((await stale.json()) as Container[]).filter(({ name }) => name !== 'lonely').length, 12)
    for (const controller of others) await controller.start()
    t.match(await call<HostView>('GET', '/v1/hosts/a'), { name: 'a' })
  })
})
