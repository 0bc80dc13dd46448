// The engine killed at each step of create, replaceDisk, start, stop and delete: whatever it leaves, the next engine finishes or removes. What
// it finds is a container whose state tells the truth, the request can be repeated with its usual outcome, and in the end nothing
// is left on the host.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { EngineClient, EngineContainer, EngineSpec } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { type TestHost, TestNetwork, until } from './native-hosts.ts'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const binary = process.env.DROVER_ENGINE ?? join(repository, 'native/engine/build/drover-engine')
const sources = join(repository, 'native/engine/src')
const reasonToSkip =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync(binary)
      ? `needs the native engine: ${binary} is not built`
      : false

type Operation = 'create' | 'replace' | 'start' | 'stop' | 'delete'
const operations: Operation[] = ['create', 'replace', 'start', 'stop', 'delete']

/** Where the engine is killed, and in which operation. kill: the steps that stop and delete share. */
const steps: [Operation, string][] = [
  ...['create:directories', 'create:recorded'].map((step): [Operation, string] => ['create', step]),
  ...['replace:prepared', 'replace:recorded', 'replace:exchanged', 'replace:removed'].map(
    (step): [Operation, string] => ['replace', step],
  ),
  ...[
    'start:cgroups',
    'start:cloned',
    'start:mapped',
    'start:root',
    'start:network',
    'start:attached',
    'start:recorded',
    'start:handed',
    'start:running',
  ].map((step): [Operation, string] => ['start', step]),
  ...['stop:asked', 'stop:ended', 'kill:signalled', 'kill:ended', 'kill:unplugged', 'kill:removed', 'stop:cleaned'].map(
    (step): [Operation, string] => ['stop', step],
  ),
  ...[
    'kill:signalled',
    'kill:ended',
    'kill:unplugged',
    'kill:removed',
    'delete:killed',
    'delete:unrecorded',
    'delete:removed',
  ].map((step): [Operation, string] => ['delete', step]),
]

let network: TestNetwork
let host: TestHost

function makeSpec(serial: number): EngineSpec {
  return {
    container: `c${serial}`,
    name: `crash-${serial}`,
    epoch: 1,
    rootfs: join(network.directory, 'image'),
    init: ['/sbin/init'],
    environment: {},
    limits: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    identity: {
      serial,
      uidBase: 1_000_000 + serial * 65_536,
      mac: `02:00:00:00:03:${serial.toString(16).padStart(2, '0')}`,
      ipv4: `10.79.1.${serial}/16`,
      gateway: null,
      machineId: serial.toString(16).padStart(32, '0'),
    },
  }
}

async function perform(client: EngineClient, operation: Operation, spec: EngineSpec): Promise<EngineContainer | null> {
  const { container, epoch } = spec
  if (operation === 'create') return client.call('create', { spec })
  if (operation === 'replace') {
    const { upper } = await client.call('get', { container })
    const directory = join(dirname(upper), 'incoming')
    mkdirSync(directory, { recursive: true })
    const { uidBase } = spec.identity
    return client.call('replaceDisk', { container, epoch, directory, uidBase })
  }
  if (operation === 'start') return client.call('start', { container, epoch })
  if (operation === 'stop') return client.call('stop', { container, epoch, timeoutMs: 10_000 })
  return client.call('delete', { container, epoch })
}

async function found(client: EngineClient, spec: EngineSpec): Promise<EngineContainer | null> {
  const { containers } = await client.call('list', {})
  return containers.find(({ container }) => container === spec.container) ?? null
}

const outcomes: Record<Operation, object | null> = {
  create: { state: 'created', initPid: null },
  replace: { state: 'created', initPid: null },
  start: { state: 'running', starts: Number },
  stop: { state: 'stopped', initPid: null },
  delete: null,
}

t.test('every crash point of the engine is in the table, and every one of the table is in the engine', async (t) => {
  const points = readdirSync(sources)
    .filter((file) => file.endsWith('.cc'))
    .flatMap((file) =>
      [...readFileSync(join(sources, file), 'utf8').matchAll(/crashPoint\("([a-z:-]+)"\)/g)].map((match) => match[1]),
    )
  // Those of a move need two hosts: cluster-tests/test/faults.test.ts has them.
  const own = ['kill', ...operations]
  const here = points.filter((step) => own.includes((step as string).split(':')[0] as string))
  t.same([...new Set(steps.map(([, step]) => step))].sort(), here.sort())
})

t.test('the engine is killed', { skip: reasonToSkip }, async (t) => {
  network = await TestNetwork.make('10.79.0.9/16')
  mkdirSync(join(network.directory, 'image'))
  makeEngineImage(join(network.directory, 'image'))
  host = await network.addHost('crash', { binary, criu: null })
  t.teardown(() => network.close())

  for (const [index, [operation, step]] of steps.entries()) {
    await t.test(`in ${operation}, at ${step}`, async (t) => {
      const spec = makeSpec(index + 1)
      const doomed = await host.startEngine({ DROVER_CRASH_AT: step })
      for (const earlier of operations.slice(0, operations.indexOf(operation))) {
        // A delete is of a container that runs.
        if (earlier !== 'stop') await perform(doomed, earlier, spec)
      }
      await t.rejects(perform(doomed, operation, spec), 'its client gets an error')
      t.equal(await host.engineEnded(), 'SIGKILL')

      const next = await host.startEngine()
      t.teardown(() => host.killEngine())
      // An init that was asked to end, or that lost its engine before it ran, may still be about to.
      await until('a state that agrees with the processes', async () => {
        const container = await found(next, spec)
        const processes = host.processes(spec.container)
        return container?.state === 'running' ? processes > 0 : processes === 0
      })
      const before = await found(next, spec)
      if (before === null) t.same(host.leftovers(), [], 'what is unknown has left nothing')
      if (operation === 'stop' && before?.state === 'running')
        t.equal(step, 'stop:asked', 'only then init may still run')
      if (operation === 'delete' && step.startsWith('delete:u')) t.equal(before, null, 'the deletion was finished')

      const again = await perform(next, operation, spec)
      const outcome = outcomes[operation]
      if (outcome === null) t.equal(again, null)
      else t.match(again, outcome)
      if (operation === 'start') {
        const { initPid } = (await found(next, spec)) as EngineContainer
        t.ok(existsSync(`/proc/${initPid}`) && host.processes(spec.container) > 0, 'it runs')
      }
      await perform(next, 'delete', spec)
      t.same(host.leftovers(), [])
    })
  }
})
