// A nats-server of our own on a free loopback port, or the reason why there is none.
//
// The address is this process's own: connections go out from 127.0.0.1, so that none of them is ever given a port that was found free
// here, before whoever it is for listens, or while it is down.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createServer, connect as dial } from 'node:net'

export const natsMissing = (): string | false =>
  spawnSync('nats-server', ['--version']).error ? 'nats-server is not installed' : false

export const loopback = `127.100.${(process.pid >> 8) & 255}.${(process.pid & 255) % 254 || 1}`

export interface NatsProcess {
  url: string
  stop(): Promise<void>
  start(): Promise<void>
}

export async function natsProcess(token: string): Promise<NatsProcess> {
  const port = await freePort()
  let child: ChildProcess | null = null
  const start = async () => {
    child = spawn('nats-server', ['-a', loopback, '-p', String(port), '--auth', token], { stdio: 'ignore' })
    await waitFor('nats-server to listen', () => listens(port))
  }
  const stop = async () => {
    const running = child
    if (!running || running.exitCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await ended
  }
  await start()
  return { url: `nats://${loopback}:${port}`, start, stop }
}

/** Waits until it is so; what takes longer than the deadline fails by name. */
export async function waitFor<T>(
  what: string,
  check: () => T | Promise<T>,
  deadlineMs = 90_000,
): Promise<NonNullable<T>> {
  const endsAt = performance.now() + deadlineMs
  for (;;) {
    const value = await check()
    if (value) return value as NonNullable<T>
    if (performance.now() > endsAt) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** At `loopback`. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, loopback, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = dial(port, loopback)
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
