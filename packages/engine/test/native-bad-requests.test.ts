// Every method of the engine's socket with every field missing, of a wrong type, out of range, too long or unknown, and frames that
// are broken: each gets an answer that names what is wrong, and the engine goes on.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Frame, FrameType, maxFrameBytes } from '@drover/protocol'
import t, { type Test } from 'tap'
import { encodeFrame, FrameStream } from '../src/frame-stream.ts'
import type { EngineMethod } from '../src/index.ts'
import { binary, reasonToSkip } from './engine-program.ts'
import { type TestHost, TestNetwork, until } from './native-hosts.ts'

const answerDeadlineMs = 60_000

type Params = Record<string, unknown>

const target = { container: 'c9', epoch: 1 }
const limits = { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 }
const identity = {
  serial: 9,
  uidBase: 1_000_000,
  mac: '02:00:00:00:00:09',
  ipv4: '10.77.1.9/16',
  gateway: null,
  machineId: '9'.repeat(32),
}
const spec = {
  container: 'c9',
  name: 'web-9',
  epoch: 1,
  rootfs: '/no/such/image',
  init: ['/sbin/init'],
  environment: {},
  limits,
  identity,
}

/** Parameters that are right, for each method. None of them would change anything: there is no such container. */
const methods: Partial<Record<EngineMethod, Params>> & Record<string, Params> = {
  hello: { protocolVersion: 1 },
  list: {},
  create: { spec },
  prepareRestore: { spec, startedAtMs: null, starts: 0 },
  get: { container: 'c9' },
  start: target,
  stop: { ...target, timeoutMs: 1, signal: 15 },
  kill: { ...target, signal: 9 },
  update: { ...target, limits, name: null, security: { dropCapabilities: ['NET_RAW'], nesting: true } },
  freeze: target,
  thaw: target,
  delete: target,
  checkpoint: { ...target, directory: '/run/x' },
  checkpointImages: { container: 'c9' },
  copyMemory: { ...target, directory: '/run/x', mostBytes: 1 << 20 },
  stageMemory: { ...target, directory: '/run/x', part: 1, bytes: 4096 },
  hashTree: { ...target, changed: ['etc/hosts'], mostBytes: 1 << 20 },
  restore: { ...target, directory: '/run/x' },
  release: target,
  wait: { container: 'c9', timeoutMs: 1 },
  logs: { container: 'c9', offset: 0, limit: 1 },
  exec: { container: 'c9', command: ['true'], environment: {}, directory: null, user: null, terminal: null },
  processes: { container: 'c9' },
  preflight: { container: 'c9' },
  usage: { container: 'c9', fileSystems: true },
  fileStat: { container: 'c9', path: '/', follow: true },
  fileList: { container: 'c9', path: '/', after: null },
  fileRead: { container: 'c9', path: '/', offset: 0, limit: 1 },
  fileWrite: {
    container: 'c9',
    path: '/a',
    offset: 0,
    dataBase64: '',
    truncate: true,
    mode: null,
    uid: null,
    gid: null,
  },
  fileMake: { container: 'c9', path: '/a', type: 'directory', target: null, mode: null, uid: null, gid: null },
}

/** What is wrong as each field, beyond its type; a field that is not here is only tried with wrong types. */
const outOfRange: Record<string, unknown[]> = {
  container: ['', '-a', '../etc', 'A', 'c'.repeat(33), 'c\0'],
  epoch: [-1, 1.5, 1e300, 2 ** 63],
  protocolVersion: [-1, 2 ** 40],
  timeoutMs: [-1, 10 ** 12],
  signal: [0, 65],
  offset: [1e300, 0.5],
  limit: [0, -1, 2 ** 40],
  starts: [-1],
  startedAtMs: [-1],
  directory: ['/x'.repeat(3000), 'a\0'],
  path: ['relative', '', '/x'.repeat(3000), '/\0'],
  dataBase64: ['a', '!!!!', 'A'.repeat(800_000)],
  mode: [0o10000, -1],
  name: ['', '-a', 'A', 'a.b', 'a\n', 'a'.repeat(64)],
  uid: [-1, 65_536],
  gid: [-1, 65_536],
  type: ['socket', ''],
  command: [[], [''], [1], ['a\0'], Array(300).fill('a')],
  environment: [{ '': 'a' }, { 'a=b': 'c' }, { a: 1 }, { a: '\0' }],
  user: [{ uid: -1, gid: 0 }, { uid: 0 }, { name: 7 }],
  terminal: [{ columns: 0, rows: 1 }, { columns: 80 }],
  limits: [{}, { ...limits, pids: -1 }, { ...limits, cpus: '0;reboot' }, { ...limits, memoryBytes: 1e300 }],
  spec: [
    {},
    ...Object.keys(spec).map((name) => ({ ...spec, [name]: {} })),
    ...['container', 'name', 'rootfs'].map((name) => ({ ...spec, [name]: 'x'.repeat(5000) })),
    ...['uidBase', 'serial', 'mac', 'ipv4', 'machineId'].map((name) => ({
      ...spec,
      identity: { ...identity, [name]: name === 'uidBase' || name === 'serial' ? 0 : '+1' },
    })),
  ].filter((value) => JSON.stringify(value) !== JSON.stringify({ ...spec, environment: {} })),
}
/** These may be null or missing. */
const optional = new Set(['startedAtMs', 'name', 'after', 'mode', 'uid', 'gid', 'user', 'terminal', 'target'])
const optionalOf: Record<string, string[]> = { exec: ['directory'], stop: ['signal'], update: ['security'] }

let network: TestNetwork
let host: TestHost

class Raw {
  readonly frames: Frame[] = []
  readonly socket: Socket
  readonly stream: FrameStream

  constructor(socket: Socket) {
    this.socket = socket
    this.stream = new FrameStream(socket, { onFrame: (frame) => this.frames.push(frame), onClose: () => {} })
  }

  static async open(): Promise<Raw> {
    const socket = connect(host.socket)
    await once(socket, 'connect')
    return new Raw(socket)
  }

  async answer(bytes: Uint8Array): Promise<{ id: unknown; error?: { code: string; message: string } }> {
    const before = this.frames.length
    this.socket.write(bytes)
    await until('an answer', () => this.frames.length > before, answerDeadlineMs)
    return JSON.parse(Buffer.from(this.frames[before]?.payload ?? '').toString())
  }
}

const requestFrame = (value: unknown) => encodeFrame(FrameType.json, JSON.stringify(value))

t.test('bad requests', { skip: reasonToSkip, timeout: 600_000 }, async (t) => {
  network = await TestNetwork.make('10.77.0.2/16')
  host = await network.addHost('a', { binary, criu: null })
  t.teardown(async () => {
    await network.close()
  })
  const client = await host.startEngine()
  const raw = await Raw.open()
  let id = 0
  const refused = async (t: Test, what: string, method: string, params: unknown, field: string) => {
    id += 1
    const answer = await raw.answer(requestFrame({ id, method, params }))
    t.match(answer, { id, error: { code: 'BAD_REQUEST', message: new RegExp(`\`${field}\``) } }, what)
  }

  for (const [method, params] of Object.entries(methods))
    await t.test(`${method} names what is wrong`, async (t) => {
      await refused(t, 'an unknown field', method, { ...params, surprise: 1 }, 'surprise')
      for (const field of Object.keys(params)) {
        const others = { ...params }
        delete others[field]
        const may = optional.has(field) || optionalOf[method]?.includes(field)
        if (!may) await refused(t, `${field} missing`, method, others, field)
        // The name of an inner field is as good.
        for (const value of [7.5, [[]], true, 'x\0'].filter((value) => typeof value !== typeof params[field])) {
          // Only looked at when the type is symlink.
          if (field === 'target') continue
          await refused(t, `${field} is ${JSON.stringify(value)}`, method, { ...params, [field]: value }, '\\w+')
        }
        for (const value of outOfRange[field] ?? [])
          await refused(
            t,
            `${field} is ${JSON.stringify(value).slice(0, 60)}`,
            method,
            { ...params, [field]: value },
            '\\w+',
          )
      }
      for (const wrong of [null, [], 'x', 7]) await refused(t, `params is ${wrong}`, method, wrong, 'params')
    })

  await t.test('what is not there', async (t) => {
    await refused(t, 'an unknown method', 'fly', {}, 'fly')
    await t.rejects(client.call('get', { container: 'c4711' }), { code: 'CONTAINER_NOT_FOUND' })
    await t.rejects(client.call('hello', { protocolVersion: 99 }), { code: 'VERSION_MISMATCH' })
    t.equal(await client.call('delete', { container: 'c4711', epoch: 1 }), null, 'to delete it is no error')
  })

  await t.test('frames', async (t) => {
    const hello = { method: 'hello', params: { protocolVersion: 1 } }
    const two = Buffer.concat([requestFrame({ id: 'a', ...hello }), requestFrame({ id: 'b', ...hello })])
    raw.frames.length = 0
    raw.socket.write(two)
    await until('two answers', () => raw.frames.length === 2, answerDeadlineMs)
    t.pass('two requests in one write are both answered')

    const halves = requestFrame({ id: 'c', ...hello })
    raw.socket.write(halves.subarray(0, 9))
    await client.call('hello', { protocolVersion: 1 })
    t.match(await raw.answer(halves.subarray(9)), { id: 'c' }, 'half a frame waits for the rest')

    const half = await Raw.open()
    half.socket.write(halves.subarray(0, 9))
    half.stream.end()
    await until('the connection to end', () => half.stream.closed, answerDeadlineMs)
    t.pass('a client that leaves in a frame is let go')

    for (const [what, bytes, message] of [
      ['half an object', Buffer.from('{'), /not JSON/],
      ['a list', Buffer.from('[]'), /object/],
      ['a number', Buffer.from('7'), /object/],
      ['an id that is an object', Buffer.from('{"id":{},"method":"list","params":{}}'), /`id`/],
      ['bad UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), /not JSON/],
      [
        'deep nesting',
        Buffer.from(`{"id":1,"method":"list","params":{"a":${'['.repeat(50)}${']'.repeat(50)}}}`),
        /nested/,
      ],
      ['very deep nesting', Buffer.from('['.repeat(maxFrameBytes - 1)), /not JSON/],
      ['an id that is long', Buffer.from(JSON.stringify({ id: 'x'.repeat(1 << 19), ...hello })), /`id`/],
      ['a method that is long', Buffer.from(JSON.stringify({ id: 1, method: 'x'.repeat(65), params: {} })), /`method`/],
      ['no method', Buffer.from('{"id":1,"params":{}}'), /`method`/],
    ] as const)
      t.match(await raw.answer(encodeFrame(FrameType.json, bytes)), { error: { code: 'BAD_REQUEST', message } }, what)
    t.match(
      await raw.answer(encodeFrame(FrameType.stdin, 'ls\n')),
      { error: { code: 'BAD_REQUEST', message: /frame of type 1/ } },
      'a frame of another type',
    )

    const huge = Buffer.alloc(5)
    huge.writeUInt32LE(maxFrameBytes + 1)
    for (const [what, bytes, code] of [
      ['a frame over the limit', huge, 'TOO_LARGE'],
      ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'TOO_LARGE'],
      ['a frame of nothing', Buffer.alloc(4), 'BAD_REQUEST'],
    ] as const) {
      const ending = await Raw.open()
      t.match(await ending.answer(bytes), { error: { code } }, what)
      await until('the connection to end', () => ending.stream.closed, answerDeadlineMs)
    }
  })

  t.same((await client.call('list', {})).containers, [], 'the engine lives, and nothing was made')
  t.same(host.leftovers(), [])
})
