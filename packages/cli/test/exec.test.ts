// exec and shell through the whole command against a scripted container: streams, exit codes, terminals, signals.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { decodeMessage, type ExecRequest, encodeMessage, FrameType } from '@drover/protocol'
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { type RunOptions, run } from './fake-cluster.ts'

interface Inside {
  requests: ExecRequest[]
  drover: (args: string[], change?: Partial<RunOptions>) => ReturnType<typeof run>
}

/** A container that answers frames by `serve`. */
async function inside(t: Test, serve: (socket: WebSocket, type: number, text: string) => void): Promise<Inside> {
  const server = createServer()
  const sockets = new WebSocketServer({ server })
  const requests: ExecRequest[] = []
  sockets.on('connection', (socket) =>
    socket.on('message', (data: Buffer) => {
      const { type, payload } = decodeMessage(data)
      const text = Buffer.from(payload).toString()
      if (type === FrameType.json) requests.push(JSON.parse(text))
      serve(socket, type, text)
    }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const client of sockets.clients) client.terminate()
    server.closeAllConnections()
    server.close()
  })
  const endpoints = [`http://127.0.0.1:${(server.address() as AddressInfo).port}`]
  const directory = t.testdir({ 'client.json': JSON.stringify({ endpoints, secret: 'x' }) })
  const environment = { DROVER_CONFIG: `${directory}/client.json`, TERM: 'screen' }
  return { requests, drover: (args, change = {}) => run(args, environment, change) }
}

const exit = (socket: WebSocket, exitCode: number) =>
  socket.send(encodeMessage(FrameType.exit, JSON.stringify({ exitCode })))

t.test('stdin is piped in, outputs stay apart, the exit code is passed on', async (t) => {
  const { drover, requests } = await inside(t, (socket, type, text) => {
    if (type === FrameType.stdin) socket.send(encodeMessage(FrameType.stdout, text.toUpperCase()))
    if (type !== FrameType.stdinEnd) return
    socket.send(encodeMessage(FrameType.stderr, 'oops'))
    exit(socket, 7)
  })
  const args = ['exec', '-e', 'A=1', '-w', '/tmp', '-u', '1000:100', 'web-1', '--', 'sh', '-c', 'cat', '--json']
  const { exitCode, stdout, stderr } = await drover(args, { stdin: 'hello' })
  t.equal(exitCode, 7)
  t.equal(stdout, 'HELLO')
  t.equal(stderr, 'oops')
  t.same(requests, [
    {
      container: 'web-1',
      command: ['sh', '-c', 'cat', '--json'],
      terminal: null,
      environment: { A: '1' },
      directory: '/tmp',
      user: { uid: 1000, gid: 100 },
    },
  ])
})

t.test('a user is passed on by name', async (t) => {
  const { drover, requests } = await inside(t, (socket, type) => {
    if (type === FrameType.json) exit(socket, 0)
  })
  t.equal((await drover(['exec', 'web-1', '-u', 'www-data', '--', 'id'])).exitCode, 0)
  t.match(requests, [{ user: { name: 'www-data' } }])
})

t.test('logs --journal asks the journal inside, from a time on whatever its zone', async (t) => {
  const { drover, requests } = await inside(t, (socket, type) => {
    if (type !== FrameType.json) return
    socket.send(encodeMessage(FrameType.stdout, 'line\n'))
    exit(socket, 0)
  })
  const { stdout } = await drover(['logs', 'web-1', '--since', '2026-01-31T12:00:00Z', '--unit', 'ssh', '-n', '5'])
  t.equal(stdout, 'line\n')
  t.same(requests[0]?.command, [
    ...['journalctl', '--no-pager', '--quiet', '--output=short-iso'],
    ...['--since=@1769860800', '--unit=ssh', '--lines=5'],
  ])
  await drover(['logs', 'web-1', '--journal', '-f', '--json'])
  t.same(requests[1]?.command.slice(3), ['--output=json', '--follow', '--no-tail'])
  t.match(await drover(['logs', 'web-1', '--since', 'yesterday']), { exitCode: 2, stderr: /is no time/ })
  t.equal((await drover(['logs', 'web-1', '--unit=a b'])).exitCode, 2)
  t.equal(requests.length, 2)
})

t.test('--json gives outputs and exit code as one document', async (t) => {
  const { drover } = await inside(t, (socket, type) => {
    if (type !== FrameType.json) return
    socket.send(encodeMessage(FrameType.stdout, 'out\n'))
    exit(socket, 3)
  })
  const { exitCode, json } = await drover(['exec', 'web-1', '--json', '--', 'x'])
  t.equal(exitCode, 3)
  t.same(json(), { exitCode: 3, stdout: 'out\n', stderr: '' })
})

t.test('a container that cannot run it is an operating error', async (t) => {
  const { drover } = await inside(t, (socket) => {
    socket.send(
      encodeMessage(FrameType.error, '{"error":{"code":"WRONG_STATE","message":"exec in web-1: it is stopped"}}'),
    )
  })
  const { exitCode, stderr } = await drover(['exec', 'web-1', '--', 'x'])
  t.equal(exitCode, 1)
  t.match(stderr, /drover: exec in web-1: it is stopped/)
})

t.test('a shell has a terminal of our size and type, and follows it', async (t) => {
  let signal: (name: NodeJS.Signals) => void = () => {}
  const frames: string[] = []
  const { drover, requests } = await inside(t, (socket, type, text) => {
    if (type === FrameType.stdinEnd) signal('SIGWINCH')
    if (type !== FrameType.resize) return
    frames.push(text)
    exit(socket, 130)
  })
  const { exitCode } = await drover(['shell', 'web-1'], { keyboard: true, onStart: (send) => (signal = send) })
  t.equal(exitCode, 130)
  t.same(frames, ['{"columns":120,"rows":40}'])
  t.match(requests, [
    {
      terminal: { columns: 120, rows: 40 },
      environment: { TERM: 'screen' },
      command: ['/bin/sh', '-c', /exec bash -l/],
    },
  ])
})

t.test('a shell whose stdin is no terminal reads that to its end', async (t) => {
  const { drover, requests } = await inside(t, (socket, type, text) => {
    if (type === FrameType.stdin) socket.send(encodeMessage(FrameType.stdout, text))
    if (type === FrameType.stdinEnd) exit(socket, 3)
  })
  const { exitCode, stdout } = await drover(['shell', 'web-1'], { stdin: 'exit 3\n' })
  t.match(requests, [{ terminal: null, environment: {} }])
  t.equal(stdout, 'exit 3\n')
  t.equal(exitCode, 3)
})

t.test('the first Ctrl-C goes to the command inside', async (t) => {
  let signal: (name: NodeJS.Signals) => void = () => {}
  const { drover } = await inside(t, (socket, type, text) => {
    if (type === FrameType.json) socket.send(encodeMessage(FrameType.stdout, 'ready'))
    if (type === FrameType.stdinEnd) signal('SIGINT')
    if (type === FrameType.signal) exit(socket, 128 + JSON.parse(text).signal)
  })
  const { exitCode } = await drover(['exec', 'web-1', '--', 'sleep', '9'], { onStart: (send) => (signal = send) })
  t.equal(exitCode, 130)
})
