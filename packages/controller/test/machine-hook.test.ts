// Asking for machines: when nothing fits and one on offer would hold it, the hook is told, tried again, and given up after a while.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { MachineHookConfig, Operation } from '@drover/protocol'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { MachineHook } from '../src/shell/machine-hook.ts'
import { apiFixture } from './support/api-fixture.ts'

const shape = { cpuMilli: 64_000, memoryBytes: 2 ** 36, diskBytes: 2 ** 41, price: 1 }
const deadlineMs = 60_000

async function cluster(t: Test, config: MachineHookConfig | null) {
  const { call, context } = await apiFixture(t)
  // Routes ask only where there is somebody to be asked.
  context.config.machineHook = config ?? { command: ['true'] }
  await call('POST', '/v1/policy', { body: { machines: { large: shape } } })
  const { log, machine, now } = context
  const hook = new MachineHook({ config, log, now, logger: pino({ level: 'silent' }), firstPauseMs: 1 })
  const launch = (name: string, memoryBytes: number) =>
    call('POST', '/v1/containers', { body: { name, memoryBytes }, headers: { 'idempotency-key': `l-${name}` } })
  const ended = async (): Promise<Operation> => {
    for (const untilMs = Date.now() + deadlineMs; Date.now() < untilMs; ) {
      hook.tick(machine.state)
      const operation = [...machine.state.tables.operations.values()].find(({ kind }) => kind === 'machines')
      if (operation && operation.state !== 'running') return operation
      await new Promise((resolve) => setImmediate(resolve))
    }
    throw new Error('it never ended')
  }
  return { launch, ended, machine }
}

t.test('a launch that fits nowhere asks for a machine that would hold it, once', async (t) => {
  const file = join(t.testdir(), 'told')
  const { launch, ended, machine } = await cluster(t, { command: ['sh', '-c', `cat > ${file}`] })
  const refused = await launch('big', 2 ** 35)
  t.match(refused, {
    status: 409,
    body: { error: { code: 'NO_CAPACITY', message: /-machines asks for a machine/ } },
  })
  t.match(await launch('also', 2 ** 35), {
    status: 409,
    body: { error: { message: /-machines has asked already/ } },
  })
  t.match(await ended(), { kind: 'machines', target: 'large', state: 'done' })
  t.match(JSON.parse(readFileSync(file, 'utf8')), {
    operation: /-machines$/,
    event: 'provision',
    shape: 'large',
    machines: 1,
    pending: [{ name: 'big', memoryBytes: 2 ** 35 }],
  })
  await launch('huge', 2 ** 40)
  const asked = [...machine.state.tables.operations.values()].filter(({ kind }) => kind === 'machines')
  t.equal(asked.length, 1, 'no machine on offer holds it')
})

t.test('a hook that fails is tried again, five times; the operation says what it said', async (t) => {
  let calls = 0
  const server = createServer((_request, response) => {
    calls += 1
    response.writeHead(503).end('no machines left')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const { launch, ended } = await cluster(t, { url })
  await launch('big', 2 ** 35)
  const operation = await ended()
  t.match(operation, { state: 'failed', error: { message: /answered 503: no machines left; tried 5 times/ } })
  t.equal(calls, 5)
})

t.test('a program that is not there, and nobody to be told', async (t) => {
  const missing = await cluster(t, { command: ['/no/such/program'] })
  await missing.launch('big', 2 ** 35)
  t.match(await missing.ended(), { state: 'failed', error: { message: /no\/such\/program/ } })
  const nobody = await cluster(t, null)
  await nobody.launch('big', 2 ** 35)
  t.match(await nobody.ended(), { state: 'done', progress: { message: /nobody is to be told/ } })
})
