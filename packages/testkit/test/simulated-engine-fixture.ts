// A simulated engine on a temporary directory, with clients, for the length of one test.

import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { SimulatedEngine } from '../src/simulated-engine/index.ts'
import { removeDirectory } from '../src/temporary.ts'
import { RawEngineClient } from './raw-engine-client.ts'

export async function setUp(t: Test) {
  const directory = mkdtempSync(join(tmpdir(), 'drover-simulated-'))
  const rootfs = join(directory, 'rootfs')
  mkdirSync(rootfs)
  const config = {
    socket: join(directory, 'engine.sock'),
    stateDirectory: join(directory, 'state'),
    cgroup: '/drover',
    bridge: 'br0',
    criu: null,
    criuReason: '',
  }
  const engine = new SimulatedEngine(config)
  await engine.start()
  const clients: RawEngineClient[] = []
  const connect = () => {
    const client = new RawEngineClient(config.socket)
    clients.push(client)
    return client
  }
  t.teardown(async () => {
    for (const client of clients) client.close()
    await engine.close().catch(() => {})
    await removeDirectory(directory)
  })
  const spec = (changes: object = {}) => ({
    container: 'c1',
    name: 'web-1',
    epoch: 1,
    rootfs,
    init: ['/sbin/init'],
    environment: {},
    limits: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    identity: { serial: 1, uidBase: 1_000_000, mac: '', ipv4: '', gateway: null, machineId: '' },
    ...changes,
  })
  const exec = async (command: string[], changes: object = {}) => {
    const session = connect()
    const params = {
      container: 'c1',
      command,
      environment: {},
      directory: null,
      user: null,
      terminal: null,
      ...changes,
    }
    await session.call('exec', params)
    return session
  }
  return { directory, rootfs, config, engine, client: connect(), connect, spec, exec }
}

export const at = (epoch: number) => ({ container: 'c1', epoch })

export async function run(client: RawEngineClient, spec: object, epoch = 1) {
  await client.call('create', { spec })
  return (await client.call('start', at(epoch))).result
}

/** Waits until the counter in the container's memory is over `value`. */
export async function growsBeyond(engine: SimulatedEngine, container: string, value: number): Promise<void> {
  const deadline = Date.now() + 5000
  while (engine.containers.pulse(container) <= value) {
    if (Date.now() > deadline) throw new Error(`the counter stands at ${value}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
