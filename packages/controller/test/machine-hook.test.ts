// Asking for machines: when nothing fits and one on offer would hold it, the hook is told, tried again, and given up after a while.

import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { MachineHookConfig, Operation } from '@drover/protocol'
import { temporaryDirectory } from '@drover/testkit/temporary'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { planConsolidation } from '../src/core/planner-consolidate.ts'
import { MachineHook } from '../src/shell/machine-hook.ts'
import { submit } from '../src/shell/submit.ts'
import { apiFixture } from './support/api-fixture.ts'

const shape = { cpuMilli: 64_000, memoryBytes: 2 ** 36, diskBytes: 2 ** 41, price: 1 }
const deadlineMs = 60_000
/** The program that is waited for needs the processor, too. */
const pollMs = 5

/** Where a program writes what it was told: nobody else's, so that another run of these tests in the same tree doesn't clear it away. */
function toldFile(t: Test): string {
  const directory = temporaryDirectory(t, 'hook')
  return join(directory, 'told')
}

async function cluster(t: Test, config: MachineHookConfig | null) {
  const { call, context, models } = await apiFixture(t)
  // However long this takes, no host has been silent: their only reports are the fixture's.
  const startMs = context.now()
  context.now = () => startMs
  // Routes ask only where there is somebody to be asked.
  context.config.machineHook = config ?? { command: ['true'] }
  await call('POST', '/v1/policy', { body: { machines: { large: shape } } })
  const { log, machine } = context
  const hook = new MachineHook({ config, log, now: Date.now, logger: pino({ level: 'silent' }), firstPauseMs: 1 })
  const launch = (name: string, memoryBytes: number) =>
    call('POST', '/v1/containers', { body: { name, memoryBytes }, headers: { 'idempotency-key': `l-${name}` } })
  const ended = async (): Promise<Operation> => {
    for (const untilMs = Date.now() + deadlineMs; Date.now() < untilMs; ) {
      hook.tick(machine.state)
      const operation = [...machine.state.tables.operations.values()].find(({ kind }) => kind === 'machines')
      if (operation && operation.state !== 'running') return operation
      await pause(pollMs)
    }
    throw new Error('it never ended')
  }
  return { launch, ended, machine, call, context, models }
}

/** A server that takes what it is told. */
async function webhook(t: Test, answer = 204) {
  const told: unknown[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      told.push(JSON.parse(Buffer.concat(chunks).toString()))
      response.writeHead(answer).end('no machines left')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { told, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }
}

t.test('a launch that fits nowhere asks for a machine that would hold it, once', async (t) => {
  const file = toldFile(t)
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
  const { told, url } = await webhook(t, 503)
  const key = `${url}?key=hidden`
  const { launch, ended } = await cluster(t, { url: key })
  await launch('big', 2 ** 35)
  const operation = await ended()
  t.match(operation, { state: 'failed', error: { message: /answered 503: no machines left; tried 5 times/ } })
  t.equal(told.length, 5)
  t.notMatch(JSON.stringify(operation), /hidden/)
})

t.test('a program that is not there, and nobody to be told', async (t) => {
  const missing = await cluster(t, { command: ['/no/such/program'] })
  await missing.launch('big', 2 ** 35)
  t.match(await missing.ended(), { state: 'failed', error: { message: /no\/such\/program/ } })
  const nobody = await cluster(t, null)
  await nobody.launch('big', 2 ** 35)
  t.match(await nobody.ended(), { state: 'done', progress: { message: /nobody is to be told/ } })
})

t.test('the cluster’s setting goes before the configuration; null gives that back', async (t) => {
  const file = toldFile(t)
  const { told, url } = await webhook(t)
  const { launch, ended, call, machine } = await cluster(t, { command: ['sh', '-c', `cat > ${file}`] })
  const set = await call('POST', '/v1/policy', { body: { machineHook: { url } } })
  t.match(set, { body: { progress: { message: 'machineHook=set' } } }, 'events and operations don’t show the address')
  t.match(await call('GET', '/v1/policy'), { body: { machineHook: { url } } })
  await launch('big', 2 ** 35)
  t.match(await ended(), { state: 'done', progress: { message: 'the hook was told' } })
  t.match(told, [{ event: 'provision', shape: 'large', machines: 1, pending: [{ name: 'big' }] }])
  t.throws(() => readFileSync(file), { code: 'ENOENT' }, 'the configuration’s program was not run')
  await call('POST', '/v1/policy', { body: { machineHook: null } })
  t.equal(machine.state.tables.policies.get('scheduling')?.machineHook, undefined)
})

t.test('a hook that can’t be one is refused, with the field', async (t) => {
  const { call } = await cluster(t, null)
  for (const machineHook of [{ url: 'ftp://x' }, { command: [] }, { url: 'http://x', command: ['/x'] }, 'x']) {
    const refused = await call('POST', '/v1/policy', { body: { machineHook } })
    t.match(refused, { status: 400, body: { error: { code: 'BAD_REQUEST', message: /machineHook/ } } })
  }
})

t.test('an emptied host: the program is told to power it down; a launch that it would hold powers it on', async (t) => {
  const file = toldFile(t)
  const { launch, call, context, machine, models } = await cluster(t, null)
  const command = ['sh', '-c', `cat >> ${file}; echo >> ${file}`]
  await call('POST', '/v1/policy', {
    body: { machineHook: { command }, rebalance: { consolidate: 'on', spareHosts: 0, afterwards: 'power-down' } },
  })
  const { log, now } = context
  const hook = new MachineHook({ config: null, log, now: Date.now, logger: pino({ level: 'silent' }), firstPauseMs: 1 })
  const told = async (count: number) => {
    for (const untilMs = Date.now() + deadlineMs; Date.now() < untilMs; ) {
      hook.tick(machine.state)
      const running = [...machine.state.running].some((id) => id.includes('release') || id.includes('machines'))
      const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []
      if (lines.length >= count && !running) return lines.map((line) => JSON.parse(line))
      await pause(pollMs)
    }
    throw new Error(`the hook was not told ${count} times`)
  }
  // Host b was emptied by consolidation, as its operation says.
  const evacuation = { type: 'EvacuationStarted', operation: 'consolidate-b-1', host: 'b', parallel: 2 } as const
  await submit(log, { ...evacuation, atMs: now(), reason: 'CONSOLIDATION: b is used to 0 %' })
  const ending = { state: 'done', message: 'b is empty', error: null, figures: {} } as const
  await submit(log, { type: 'OperationEnded', atMs: now(), operation: 'consolidate-b-1', ...ending })
  const observed = { reports: context.reports.reports, sinceMs: 0 }
  for (const entry of planConsolidation({ state: machine.state, observed, nowMs: now(), seed: 1 })) {
    await submit(log, entry)
  }
  t.match(await told(1), [{ event: 'release', host: 'b', afterwards: 'power-down' }])

  // It is off: nothing is heard of it for longer than a host may be silent.
  const laterMs = now() + 60_000
  context.now = () => laterMs
  context.reports.receive(Buffer.from(JSON.stringify(models.get('a')!.report())), context.now())
  t.match(await launch('first', 6 * 2 ** 30), { status: 202 })
  const refused = await launch('web', 6 * 2 ** 30)
  t.match(refused, { status: 409, body: { error: { code: 'NO_CAPACITY', message: /asks for a machine/ } } })
  t.match((await told(2))[1], { event: 'power-on', host: 'b', pending: [{ name: 'web' }] })
})
