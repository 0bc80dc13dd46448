// One controller, a real nats-server and model hosts: what users do, through the API.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Container, ControllerConfig, HostView, Operation } from '@drover/protocol'
import { SingleNodeLog } from '@drover/raft'
import { removeDirectory } from '@drover/testkit/temporary'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type Controller, startController } from '../src/shell/controller.ts'
import { BusAgent } from './support/bus-agent.ts'
import { ModelHost, type Wire } from './support/model-host.ts'
import { natsMissing, natsProcess, waitFor } from './support/nats-process.ts'

const secret = 'a-secret-for-tests-0123'
const skip = natsMissing()

async function cluster(test: Test) {
  const directory = mkdtempSync(join(tmpdir(), 'drover-controller-'))
  const nats = await natsProcess(secret)
  const wire: Wire = { sent: new Set() }
  const config: ControllerConfig = {
    cluster: 'test',
    name: 'one',
    dataDirectory: directory,
    apiAddress: '127.0.0.1',
    apiPort: 0,
    secret,
    natsServers: [nats.url],
    raft: null,
    containerNetwork: '10.77.0.0/16',
    gateway: null,
  }
  const start = () =>
    startController({
      config,
      logger: pino({ level: process.env.DROVER_TEST_LOG ?? 'silent' }),
      openLog: (machine) => new SingleNodeLog({ directory: join(directory, 'log'), machine }),
      onFatal: (error) => test.fail(String(error)),
    })
  let controller: Controller = await start()
  const agents: BusAgent[] = []
  for (const name of ['a', 'b', 'c']) {
    agents.push(await BusAgent.start(new ModelHost({ name, wire }), 'test', nats.url, secret))
  }
  const call = async <T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> => {
    const response = await fetch(`http://127.0.0.1:${controller.port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${secret}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: response.status, body: (await response.json()) as T }
  }
  const done = async (operation: Operation): Promise<Operation> =>
    waitFor(`${operation.kind} ${operation.target} to end`, async () => {
      const { body } = await call<Operation>('GET', `/v1/operations/${operation.id}`)
      return body.state === 'running' ? null : body
    })
  test.teardown(async () => {
    for (const agent of agents) await agent.close()
    await controller.close()
    await nats.stop()
    await removeDirectory(directory)
  })
  await waitFor('three hosts to be ready', async () => {
    const { body } = await call<HostView[]>('GET', '/v1/hosts')
    return body.filter(({ status }) => status === 'ready').length === 3
  })
  const hosts = agents.map(({ host }) => host)
  const restart = async () => {
    await controller.close()
    controller = await start()
  }
  return { call, done, hosts, agents, nats, restart }
}

t.test('a cluster through its API', { skip }, async (t) => {
  const { call, done, hosts, nats, restart } = await cluster(t)
  const executing = (id: string) => hosts.filter((host) => host.executing().some(({ container }) => container === id))

  await t.test('an image is built and registered', async (t) => {
    const { body } = await call<Operation>('POST', '/v1/images', { recipe: 'busybox' })
    const ended = await done(body)
    t.match(ended, { kind: 'image-build', state: 'done' })
    t.match((await call('GET', '/v1/images')).body, [{ name: 'busybox', digest: 'sha256:1' }])
  })

  await t.test('thirty containers launched at once all run, each with its own identity', async (t) => {
    const names = Array.from({ length: 30 }, (_, index) => `web-${index + 1}`)
    const begun = await Promise.all(names.map((name) => call<Operation>('POST', '/v1/containers', { name })))
    t.strictSame(new Set(begun.map(({ status, body }) => (status === 202 ? status : body))), new Set([202]))
    for (const { body } of begun) t.match(await done(body), { state: 'done' })
    const { body: containers } = await call<Container[]>('GET', '/v1/containers')
    t.equal(containers.filter(({ state }) => state === 'running').length, 30)
    for (const key of ['uidBase', 'mac', 'ipv4', 'serial'] as const) {
      t.equal(new Set(containers.map(({ identity }) => identity[key])).size, 30, key)
    }
    t.match(containers[0]!.placement.hosts.length, 3, 'the placement says something about every host')
  })

  await t.test('a live move ends on the other host, never running twice, and counts an epoch', async (t) => {
    const { body: before } = await call<Container>('GET', '/v1/containers/web-1')
    const to = hosts.find(({ name }) => name !== before.host)!.name
    const { body } = await call<Operation>('POST', '/v1/containers/web-1/move', { host: to })
    const ended = await done(body)
    t.match(ended, { state: 'done', phase: 'done', migration: { phase: 'done', destination: to } })
    t.match(ended.migration!.figures, { source_ms: 1, destination_ms: 1, phase_switching_ms: Number })
    const { body: after } = await call<Container>('GET', '/v1/containers/web-1')
    t.match(after, { host: to, epoch: before.epoch + 1, state: 'running', starts: 1, operation: null })
    t.strictSame(after.identity, before.identity)
    t.strictSame(
      executing(after.id).map(({ name }) => name),
      [to],
    )
  })

  await t.test('a host is emptied, and opened again', async (t) => {
    const { body } = await call<Operation>('POST', '/v1/hosts/a/evacuate', {})
    const ended = await done(body)
    t.match(ended, { state: 'done' })
    t.equal(ended.progress.done, ended.progress.total)
    const { body: containers } = await call<Container[]>('GET', '/v1/containers')
    t.equal(containers.filter(({ host }) => host === 'a').length, 0)
    t.equal(containers.filter(({ starts, state }) => starts === 1 && state === 'running').length, 30)
    for (const { id, host } of containers)
      t.strictSame(
        executing(id).map(({ name }) => name),
        [host],
      )
    t.match((await call('GET', '/v1/hosts/a')).body, { status: 'cordoned', containers: 0 })
    const restore = await call<Operation>('POST', '/v1/hosts/a/restore')
    t.match(restore.body, { kind: 'restore', state: 'done' })
    t.match((await call('GET', '/v1/hosts/a')).body, { status: 'ready' })
  })

  await t.test('stop, start, freeze, thaw and delete do what they say', async (t) => {
    const act = async (action: string) => done((await call<Operation>('POST', `/v1/containers/web-2/${action}`)).body)
    const state = async () => (await call<Container>('GET', '/v1/containers/web-2')).body.state
    for (const [action, expected] of [
      ['stop', 'stopped'],
      ['start', 'running'],
      ['restart', 'running'],
      ['freeze', 'frozen'],
      ['thaw', 'running'],
    ] as const) {
      t.match(await act(action), { state: 'done', kind: action })
      t.equal(await state(), expected)
    }
    const deleted = await call<Operation>('DELETE', '/v1/containers/web-2')
    t.match(await done(deleted.body), { state: 'done' })
    t.match(await call('GET', '/v1/containers/web-2'), {
      status: 404,
      body: { error: { code: 'CONTAINER_NOT_FOUND' } },
    })
  })

  await t.test('the bus comes back and everything goes on', async (t) => {
    await nats.stop()
    const { body } = await call<Operation>('POST', '/v1/containers', { name: 'during' })
    t.match(body, { state: 'running' })
    await nats.start()
    t.match(await done(body), { state: 'done' })
  })

  await t.test('a restarted controller has everything, from its disk', async (t) => {
    const { body: before } = await call<Container[]>('GET', '/v1/containers')
    await restart()
    const { body: after } = await call<Container[]>('GET', '/v1/containers')
    t.strictSame(
      after.map(({ name, host, epoch, identity }) => ({ name, host, epoch, identity })),
      before.map(({ name, host, epoch, identity }) => ({ name, host, epoch, identity })),
    )
    await waitFor('hosts to be ready again', async () => {
      const { body } = await call<HostView[]>('GET', '/v1/hosts')
      return body.every(({ status }) => status === 'ready')
    })
    const { body } = await call<Operation>('POST', '/v1/containers/web-3/move', {})
    t.match(await done(body), { state: 'done' })
  })
})
