// What the migration benchmark moves: the image, what must be asked for, how it is brought up inside, and the load that a client
// outside puts on it while it moves.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Container, DroverError, type Limits } from '@drover/protocol'
import { type Lab, waitUntil } from '@drover/testkit/lab'
import { debianImage, servicesImage } from './migrate-layers.ts'
import { pingLoad } from './ping-load.ts'

export interface Workload {
  name: 'idle_busybox' | 'pinged_busybox' | 'limited_busybox' | 'idle_systemd' | 'redis_200mb' | 'pgbench'
  image: string
  memoryBytes: number
  limits?: Limits
  /** Share of n that is measured; the large ones take longer. */
  share: number
  begin(lab: Lab, container: Container): Promise<void>
  /** Ends with an error if the load noticed anything worse than waiting. */
  load?(lab: Lab, container: Container): Load
}

export interface Load {
  /** Before each move. */
  mark?(): void
  /** What the load saw. */
  end(): Promise<string>
}

const bootDeadlineMs = 120_000
const setUpDeadlineMs = 180_000
const writesPerSecond = 1000
const addressOf = (container: Container) => container.identity.ipv4.split('/')[0] as string

export const workloads: Workload[] = [
  { name: 'idle_busybox', image: 'busybox', memoryBytes: 64 << 20, share: 1, begin: async () => {} },
  {
    name: 'pinged_busybox',
    image: 'busybox',
    memoryBytes: 64 << 20,
    share: 0.2,
    begin: async () => {},
    load: pingLoad,
  },
  {
    name: 'limited_busybox',
    image: 'busybox',
    memoryBytes: 64 << 20,
    limits: { cpuMilli: 50 },
    share: 0.2,
    begin: async () => {},
  },
  { name: 'idle_systemd', image: debianImage, memoryBytes: 512 << 20, share: 0.2, begin: booted },
  {
    name: 'redis_200mb',
    image: servicesImage,
    memoryBytes: 1024 << 20,
    share: 0.1,
    async begin(lab, container) {
      await booted(lab, container)
      await inside(lab, container, ['systemctl', 'start', 'bench-redis'])
      await waitUntil('Redis to answer', bootDeadlineMs, async () => {
        return (await lab.cli(['exec', container.name, '--', 'redis-cli', 'ping'])).stdout.includes('PONG')
      })
      const fill = "for i=0,199999 do redis.call('set','key:'..i, i..string.rep('y',900)) end"
      await inside(lab, container, ['redis-cli', 'eval', fill, '0'])
    },
    load: redisLoad,
  },
  {
    name: 'pgbench',
    image: servicesImage,
    memoryBytes: 1024 << 20,
    share: 0.1,
    async begin(lab, container) {
      await booted(lab, container)
      await inside(lab, container, ['systemctl', 'start', 'bench-postgres'])
      const initialise = 'exec /usr/lib/postgresql/*/bin/pgbench -i -q -s 5 -h 127.0.0.1 -U postgres postgres'
      await inside(lab, container, ['sh', '-c', initialise])
    },
    load: pgbenchLoad,
  },
]

async function booted(lab: Lab, container: Container): Promise<void> {
  await waitUntil(`${container.name} to boot`, bootDeadlineMs, async () => {
    const { stdout } = await lab.cli(['exec', container.name, '--', 'systemctl', 'is-system-running'])
    return /running|degraded/.test(stdout)
  })
}

async function inside(lab: Lab, container: Container, command: string[]): Promise<void> {
  const { code, stderr, stdout } = await lab.cli(['exec', container.name, '--', ...command], {
    deadlineMs: setUpDeadlineMs,
  })
  if (code !== 0) throw new DroverError('INTERNAL', `${command[0]} in ${container.name}: ${stderr || stdout}`)
}

function redisLoad(lab: Lab, container: Container): Load {
  const program = fileURLToPath(new URL('./redis-writer.js', import.meta.url))
  const child = inClient(lab, [process.execPath, program, addressOf(container), String(writesPerSecond)])
  return {
    async end() {
      child.process.stdin?.end()
      const text = await child.output
      const said = JSON.parse(text) as { sent: number; answered: number; failed: string | null }
      if (said.failed !== null) throw new DroverError('INTERNAL', `a write to Redis failed: ${said.failed}`)
      return `${said.answered} of ${said.sent} writes answered, none failed`
    },
  }
}

/** pgbench of the image itself, run by the client from a host's unpacked copy; it tells each second what it did and what failed. */
function pgbenchLoad(lab: Lab, container: Container): Load {
  const rootfs = `${lab.host(container.host).directory}/agent/data/images/${container.spec.image.replace(':', '-')}/rootfs`
  const connection = `-h ${addressOf(container)} -U postgres -c 4 -T 3600 -P 1 postgres`
  const child = inClient(lab, ['chroot', rootfs, 'sh', '-c', `exec /usr/lib/postgresql/*/bin/pgbench ${connection}`])
  let [committed, failed] = [0, 0]
  createInterface({ input: child.process.stderr as Readable }).on('line', (line) => {
    const progress = /^progress: [\d.]+ s, ([\d.]+) tps, .*?, (\d+) failed/.exec(line)
    committed += Number(progress?.[1] ?? 0)
    failed += Number(progress?.[2] ?? 0)
  })
  return {
    async end() {
      const ranOn = child.process.exitCode === null
      child.process.kill('SIGINT')
      const text = await child.output
      if (!ranOn || committed === 0 || /aborted|connection to server .* failed/.test(text))
        throw new DroverError('INTERNAL', `pgbench: ${text.slice(-500)}`)
      const told = `${Math.round(committed)} transactions, ${failed} failed, no client aborted`
      if (failed > 0) throw new DroverError('INTERNAL', `pgbench: ${told}`)
      return told
    },
  }
}

function inClient(lab: Lab, command: string[]): { process: ChildProcess; output: Promise<string> } {
  const [program, ...args] = [...lab.clientPrefix, ...command]
  const child = spawn(program as string, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' })
  let text = ''
  const keep = (data: Buffer) => {
    text = (text + data.toString()).slice(-10_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.stdin.on('error', () => {})
  return { process: child, output: new Promise((resolve) => child.on('close', () => resolve(text))) }
}
