// The load of the Redis benchmark, a program in the client's namespace: `redis-writer ADDRESS RATE` overwrites random keys of the
// container's Redis at RATE a second over one connection. When its standard input ends it says what came of it and ends.

import { connect } from 'node:net'

const [address = '', rate = '1000'] = process.argv.slice(2)
const batchEveryMs = 5
const keys = 200_000

let sent = 0
let answered = 0
let failed: string | null = null

const socket = connect({ host: address, port: 6379 })
socket.setNoDelay(true)
socket.on('data', (data) => {
  for (const byte of data) if (byte === 0x2b) answered++
  if (data.includes('-')) failed ??= data.toString('latin1').slice(0, 200)
})
socket.on('error', (error) => {
  failed ??= error.message
})
const startedAt = performance.now()
setInterval(() => {
  const due = Math.floor(((performance.now() - startedAt) / 1000) * Number(rate))
  let commands = ''
  for (; sent < due; sent++) {
    const value = `${sent}-${'x'.repeat(900)}`
    commands += `SET key:${Math.floor(Math.random() * keys)} ${value}\r\n`
  }
  if (commands !== '') socket.write(commands)
}, batchEveryMs)

process.stdin.resume().on('end', () => {
  process.stdout.write(`${JSON.stringify({ sent, answered, failed })}\n`)
  process.exit(0)
})
