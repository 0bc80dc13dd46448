// The client against a server made by the test: answers out of order, deadlines, broken connections, events, exec sessions.

import { mkdtempSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Frame, FrameType } from '@drover/protocol'
import { removeDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { EngineClient, FrameStream } from '../src/index.ts'
import { until } from './native-hosts.ts'

interface Request {
  id: number
  method: string
  params: Record<string, unknown>
}

class FakeEngine {
  readonly path: string
  readonly streams: FrameStream[] = []
  readonly frames: Frame[] = []
  readonly requests: Request[] = []
  #server: Server | null = null
  readonly #answer: (request: Request, stream: FrameStream) => void

  constructor(t: Test, answer: (request: Request, stream: FrameStream) => void) {
    const directory = mkdtempSync(join(tmpdir(), 'drover-client-'))
    this.path = join(directory, 'engine.sock')
    this.#answer = answer
    t.teardown(async () => {
      await this.stop()
      await removeDirectory(directory)
    })
  }

  async start(): Promise<void> {
    const server = createServer((socket) => {
      const stream = new FrameStream(socket, {
        onFrame: (frame) => {
          if (frame.type !== FrameType.json) {
            this.frames.push(frame)
            return
          }
          const request = JSON.parse(Buffer.from(frame.payload).toString()) as Request
          this.requests.push(request)
          this.#answer(request, stream)
        },
        onClose: () => this.streams.splice(this.streams.indexOf(stream), 1),
      })
      this.streams.push(stream)
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    for (const stream of [...this.streams]) stream.destroy()
    if (server) await new Promise((resolve) => server.close(resolve))
  }
}

async function connected(t: Test, answer: (request: Request, stream: FrameStream) => void) {
  const engine = new FakeEngine(t, answer)
  await engine.start()
  const client = new EngineClient(engine.path)
  t.teardown(() => client.close())
  return { engine, client }
}

const exec = { container: 'c1', environment: {}, directory: null, user: null, terminal: null }

t.test('answers out of order reach those who asked', async (t) => {
  const waiting: (() => void)[] = []
  const { client } = await connected(t, (request, stream) => {
    waiting.push(() => stream.sendJson({ id: request.id, result: { container: request.params.container } }))
    if (waiting.length === 3) for (const answer of waiting.reverse()) answer()
  })
  const answers = await Promise.all(['c1', 'c2', 'c3'].map((container) => client.call('get', { container })))
  t.same(answers, [{ container: 'c1' }, { container: 'c2' }, { container: 'c3' }])
})

t.test('an error of the engine is a DroverError with its code', async (t) => {
  const { client } = await connected(t, ({ id }, stream) => {
    stream.sendJson({ id, error: { code: 'STALE_EPOCH', message: 'over', retryable: false, context: { epoch: 3 } } })
  })
  await t.rejects(client.call('start', { container: 'c1', epoch: 2 }), {
    name: 'DroverError',
    code: 'STALE_EPOCH',
    message: 'over',
    context: { epoch: 3 },
  })
})

t.test('a call without an answer ends at its deadline, and a late answer harms nobody', async (t) => {
  let late = () => {}
  const { client } = await connected(t, ({ id, method }, stream) => {
    if (method === 'get') late = () => stream.sendJson({ id, result: 'late' })
    else stream.sendJson({ id, result: { containers: [] } })
  })
  await t.rejects(client.call('get', { container: 'c1' }, { deadlineMs: 20 }), { code: 'TIMED_OUT', retryable: true })
  late()
  t.same(await client.call('list', {}), { containers: [] })
})

t.test('a broken connection fails the calls under way, and the next call opens a new one', async (t) => {
  let breaks = true
  const { client } = await connected(t, ({ id }, stream) => {
    if (breaks) stream.destroy()
    else stream.sendJson({ id, result: { containers: [] } })
  })
  await t.rejects(client.call('list', {}), { code: 'ENGINE_FAILED', retryable: true })
  breaks = false
  t.same(await client.call('list', {}), { containers: [] })
})

t.test('an engine that is not there is a clear error', async (t) => {
  await t.rejects(EngineClient.connect('/nonexistent/engine.sock'), {
    code: 'ENGINE_FAILED',
    retryable: true,
    message: /\/nonexistent\/engine.sock/,
  })
})

t.test('events come again after the engine was restarted, and up and down are told', async (t) => {
  const engine = new FakeEngine(t, ({ id }, stream) => stream.sendJson({ id, result: null }))
  await engine.start()
  const up: boolean[] = []
  const client = new EngineClient(engine.path, { onUp: (now) => up.push(now) })
  t.teardown(() => client.close())
  const heard: string[] = []
  client.onEvent((event) => heard.push(event.container.container))
  const announce = async (container: string) => {
    await until('a subscription', () => engine.requests.some((request) => request.method === 'subscribe'))
    for (const stream of engine.streams) stream.sendJson({ event: 'container', container: { container } })
    await until(`the event of ${container}`, () => heard.includes(container))
  }
  await announce('c1')
  await engine.stop()
  await until('the client to notice', () => up.at(-1) === false)
  engine.requests.length = 0
  await engine.start()
  await announce('c2')
  t.same(heard, ['c1', 'c2'])
  t.same(up, [true, false, true])
})

t.test('exec: output, input, resizing, signals and the exit code', async (t) => {
  const { engine, client } = await connected(t, ({ id }, stream) => {
    stream.sendJson({ id, result: { pid: 77 } })
    stream.send(FrameType.stdout, 'out')
    stream.send(FrameType.stderr, 'err')
  })
  let output = ''
  const session = await client.exec(
    { ...exec, command: ['cat'] },
    {
      onStdout: (data) => {
        output += `1${Buffer.from(data)}`
      },
      onStderr: (data) => {
        output += `2${Buffer.from(data)}`
      },
    },
  )
  t.equal(session.pid, 77)
  await session.write('hello')
  session.resize(80, 24)
  session.signal(15)
  session.end()
  await until('all frames', () => engine.frames.length === 4)
  t.same(
    engine.frames.map((frame) => [frame.type, Buffer.from(frame.payload).toString()]),
    [
      [FrameType.stdin, 'hello'],
      [FrameType.resize, '{"columns":80,"rows":24}'],
      [FrameType.signal, '{"signal":15}'],
      [FrameType.stdinEnd, ''],
    ],
  )
  engine.streams[0]?.send(FrameType.exit, '{"exitCode":9}')
  t.equal(await session.exit, 9)
  t.equal(output, '1out2err')
})

t.test('exec: refused, broken off, or ended by the engine with a reason', async (t) => {
  const { client } = await connected(t, ({ id, params }, stream) => {
    const [what] = params.command as string[]
    if (what === 'refused') stream.sendJson({ id, error: { code: 'WRONG_STATE', message: 'it is frozen' } })
    else stream.sendJson({ id, result: { pid: 1 } })
    if (what === 'broken') stream.end()
    if (what === 'moved')
      stream.send(FrameType.error, JSON.stringify({ error: { code: 'CANCELLED', message: 'it moves' } }))
  })
  await t.rejects(client.exec({ ...exec, command: ['refused'] }), { code: 'WRONG_STATE' })
  const broken = await client.exec({ ...exec, command: ['broken'] })
  await t.rejects(broken.exit, { code: 'ENGINE_FAILED', retryable: true })
  const moved = await client.exec({ ...exec, command: ['moved'] })
  await t.rejects(moved.exit, { code: 'CANCELLED', message: 'it moves' })
})
