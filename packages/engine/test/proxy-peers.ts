// Both ends of what a proxy carries, as programs in the network of a host or of a container: servers that say back what they hear,
// and a client that sends, listens, and compares.

import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { promisify } from 'node:util'
import { until } from './native-hosts.ts'

/** What comes of a connection or a datagram: the same back, or the error, or how it ended. */
export async function ask(network: string[], kind: 'tcp' | 'udp', address: string, port: number, bytes = 10) {
  const command = [...network, process.execPath, '-e', client, kind, address, String(port), String(bytes)]
  const { stdout } = await promisify(execFile)('nsenter', command)
  return stdout.trim()
}

/** Echoes on TCP and UDP, IPv4 and IPv6 loopback, until it is killed. */
export async function echoServer(network: string[], port: number): Promise<ChildProcess> {
  const child = spawn('nsenter', [...network, process.execPath, '-e', server, String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  await until('the echo server', () => output.includes('ready'))
  return child
}

const client = `
const [kind, address, port, bytes] = process.argv.slice(1)
const sent = require('node:crypto').randomBytes(Number(bytes))
const say = (word) => { console.log(word); process.exit(0) }
setTimeout(() => say('silence'), 60_000)
if (kind === 'udp') {
  const socket = require('node:dgram').createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('message', (heard) => say(heard.equals(sent) ? 'same' : 'other'))
  socket.on('error', (error) => say(error.code))
  socket.send(sent, Number(port), address)
} else {
  const heard = []
  const socket = require('node:net').connect(address.startsWith('/') ? { path: address } : { port: Number(port), host: address })
  socket.on('data', (chunk) => heard.push(chunk))
  socket.on('end', () => say(Buffer.concat(heard).equals(sent) ? 'same' : 'other'))
  socket.on('error', (error) => say(error.code))
  socket.end(sent)
}
`

const server = `
const port = Number(process.argv[1])
const echo = { allowHalfOpen: true }
let left = 4
const ready = () => { if (--left === 0) console.log('ready') }
for (const host of ['127.0.0.1', '::1']) {
  require('node:net').createServer(echo, (socket) => socket.on('error', () => {}).pipe(socket)).listen(port, host, ready)
  const udp = require('node:dgram').createSocket(host === '::1' ? 'udp6' : 'udp4')
  udp.on('message', (heard, { port, address }) => udp.send(heard, port, address))
  udp.bind(port, host, ready)
}
`
