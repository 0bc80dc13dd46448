// The client outside (native/lab-tools/pulse-client.c) against a small server that says what it is told to, tick or not.

import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import t, { type Test } from 'tap'
import { waitUntil } from '../src/lab/index.ts'
import { type PulseMessage, type PulseReport, pulseClientPath } from '../src/lab/pulse.ts'

const skip = !existsSync(pulseClientPath) && 'the pulse client is not built (npm run bootstrap does, with a C compiler)'
const deadlineMs = 15_000

/** The program with what it has said, and a server. */
class Stage {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>
  complaints = ''
  /** What the streams have said to the server. */
  heard = ''
  port = 0
  readonly #host: string
  readonly #messages: PulseMessage[] = []
  readonly #connections: Socket[] = []
  readonly #server = createServer((socket) => {
    this.#connections.push(socket)
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (data) => {
      this.heard += String(data)
    })
  })

  static async begin(t: Test, host = '127.0.0.1'): Promise<Stage> {
    const stage = new Stage(host)
    t.teardown(() => stage.#end())
    await once(stage.#server.listen(0, host), 'listening')
    stage.port = (stage.#server.address() as AddressInfo).port
    return stage
  }

  private constructor(host: string) {
    this.#host = host
    this.child = spawn(pulseClientPath, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.child.stdin.on('error', () => {})
    this.child.stderr.on('data', (data) => {
      this.complaints += String(data)
    })
    createInterface({ input: this.child.stdout }).on('line', (line) => this.#messages.push(JSON.parse(line)))
  }

  tell(...lines: string[]): void {
    this.child.stdin.write(lines.map((line) => `${line}\n`).join(''))
  }

  /** The server's side of a new stream. */
  async open(id: string, tick = ''): Promise<Socket> {
    const index = this.#connections.length
    this.tell(`open ${id} ${this.#host} ${this.port} ${tick}`.trimEnd())
    return await waitUntil('a connection', deadlineMs, () => this.#connections[index])
  }

  /** Waits for a message of this kind about this stream. */
  async next<E extends PulseMessage['event']>(id: string, event: E): Promise<Extract<PulseMessage, { event: E }>> {
    const find = () => this.#messages.findIndex((message) => message.id === id && message.event === event)
    await waitUntil(`${event} of ${id}`, deadlineMs, () => find() >= 0)
    return this.#messages.splice(find(), 1)[0] as Extract<PulseMessage, { event: E }>
  }

  /** Messages that nobody waited for, but for the first tick. */
  rest(): PulseMessage[] {
    return this.#messages.filter(({ event }) => event !== 'ticking')
  }

  async report(id: string): Promise<PulseReport> {
    this.tell(`report ${id}`)
    return (await this.next(id, 'report')).report
  }

  /** As soon as so many lines of the stretch have come in. */
  async reportOf(id: string, lines: number): Promise<PulseReport> {
    return await waitUntil(`${lines} lines`, deadlineMs, async () => {
      const report = await this.report(id)
      return report.lines >= lines ? report : null
    })
  }

  async stopListening(): Promise<void> {
    for (const socket of this.#connections) socket.destroy()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  async #end(): Promise<void> {
    for (const socket of this.#connections) socket.destroy()
    this.#server.close()
    if (this.child.exitCode !== null) return
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

t.test(
  'pulse client: ticks that follow each other are unbroken, also when their lines come in pieces',
  { skip },
  async (t) => {
    const stage = await Stage.begin(t)
    const service = await stage.open('1')
    service.write('7 41 100')
    t.match(await stage.reportOf('1', 0), { lines: 0, first: null, last: null, pids: [], tickMs: 0, lost: null })
    service.write('0\n7 4')
    await stage.next('1', 'ticking')
    service.write('2 1020\n7 43 1040\n7')
    const report = await stage.reportOf('1', 3)
    t.match(report, { first: '7 41 1000', last: '7 43 1040', pids: [7], skipped: 0, unbroken: true, lost: null })
    t.ok(report.longestGapMs >= report.silenceMs && report.silenceMs > 0, 'a silence is a gap, too')
    t.equal(report.blackoutMs, Number((report.longestGapMs - report.tickMs).toFixed(6)))
    t.ok(Math.abs(report.gapEndedAtMs - Date.now()) < deadlineMs, 'on the wall clock')
    t.strictSame(stage.rest(), [], 'it says no more')
  },
)

t.test(
  'pulse client: a tick that is missing or comes twice, and another pid, are told until a new stretch',
  { skip },
  async (t) => {
    const stage = await Stage.begin(t)
    const service = await stage.open('1')
    service.write('7 1 0\n7 3 0\n8 4 0\n8 4 0\n')
    t.match(await stage.reportOf('1', 4), { pids: [7, 8], skipped: 2, unbroken: false, lost: null })
    stage.tell('mark 1')
    t.match(await stage.report('1'), { lines: 0, first: null, pids: [], skipped: 0, unbroken: true })
    service.write('8 5 0\n')
    t.match(await stage.reportOf('1', 1), { lines: 1, first: '8 5 0', pids: [8], skipped: 0, unbroken: true })
    service.write('8 9 0\n')
    t.match(
      await stage.reportOf('1', 2),
      { skipped: 1, unbroken: false },
      'the counter before the mark is not forgotten',
    )
  },
)

t.test('pulse client: the usual gap is the one in the middle, the longest one is told apart', { skip }, async (t) => {
  const stage = await Stage.begin(t)
  const service = await stage.open('1')
  for (let counter = 1; counter <= 6; counter++) {
    service.write(`7 ${counter} 0\n`)
    await stage.reportOf('1', counter)
  }
  // What comes in one piece has no gaps: most of them, therefore, are none.
  service.write(Array.from({ length: 30_000 }, (_, index) => `7 ${index + 7} 0\n`).join(''))
  const report = await stage.reportOf('1', 30_006)
  t.match(report, { last: '7 30006 0', skipped: 0, unbroken: true })
  t.ok(report.tickMs < report.longestGapMs && report.blackoutMs > 0, `${report.tickMs} < ${report.longestGapMs}`)
})

for (const [name, bytes, reason] of [
  ['an odd line', '7 1 0\necho "\\\u00e9\n', 'odd line: echo "\\\u00e9'],
  ['a line without a counter', '7 1 0\n7\n', 'odd line: 7'],
  ['an empty line', '7 1 0\n\n', 'odd line: '],
  ['a number with a tail', '7 1 0\n7 2x 0\n', 'odd line: 7 2x 0'],
  ['a number beyond all counters', '7 1 0\n7 99999999999999999999 0\n', 'odd line: 7 99999999999999999999 0'],
  ['a line without an end', `7 1 0\n${'7'.repeat(200)}`, `odd line: ${'7'.repeat(127)}`],
] as const) {
  t.test(`pulse client: ${name} breaks the stream`, { skip }, async (t) => {
    const stage = await Stage.begin(t)
    const service = await stage.open('1')
    service.write(Buffer.from(bytes, 'latin1'))
    t.equal((await stage.next('1', 'lost')).reason, reason)
    t.match(await stage.report('1'), { lines: 1, last: '7 1 0', unbroken: false, lost: reason })
  })
}

t.test(
  'pulse client: a reset, an end and a refusal are told with their reason, and reported on afterwards',
  { skip },
  async (t) => {
    const stage = await Stage.begin(t)
    const reset = await stage.open('1')
    const ended = await stage.open('2')
    reset.write('7 1 0\n')
    await stage.next('1', 'ticking')
    reset.resetAndDestroy()
    t.equal((await stage.next('1', 'lost')).reason, 'read ECONNRESET')
    ended.end('7 1 0\n7 2')
    t.equal((await stage.next('2', 'lost')).reason, 'the connection was closed')
    t.match(await stage.report('2'), { lines: 1, last: '7 1 0', unbroken: false, lost: 'the connection was closed' })
    await stage.stopListening()
    stage.tell(`open 3 127.0.0.1 ${stage.port}`)
    t.equal((await stage.next('3', 'lost')).reason, `connect ECONNREFUSED 127.0.0.1:${stage.port}`)
    t.match(await stage.report('1'), { lines: 1, unbroken: false, lost: 'read ECONNRESET' })
  },
)

t.test('pulse client: it asks for the tick that it is told, and hangs up when it shall', { skip }, async (t) => {
  const stage = await Stage.begin(t)
  const service = await stage.open('1', '20')
  await waitUntil('the tick', deadlineMs, () => stage.heard === 'tick 20\n')
  const other = await stage.open('2')
  const hungUp = once(service, 'close')
  stage.tell('close 1', 'report 1', 'mark 1', 'close 1', 'report 2')
  await hungUp
  t.match(await stage.next('2', 'report'), { report: { lines: 0, lost: null } })
  t.strictSame(stage.rest(), [], 'of what is not open nothing is told')
  const otherHungUp = once(other, 'close')
  stage.child.stdin.end()
  await Promise.all([otherHungUp, waitUntil('its end', deadlineMs, () => stage.child.exitCode !== null)])
  t.equal(stage.child.exitCode, 0, 'it ends with its input')
  t.equal(stage.complaints, '')
})

t.test('pulse client: odd commands are refused, and it goes on', { skip }, async (t) => {
  const stage = await Stage.begin(t)
  for (const odd of [
    'localhost 1',
    '127.0.0.1 0',
    '127.0.0.1 65536',
    '127.0.0.1 x',
    '::x 1',
    '127.0.0.1 1 0',
    '127.0.0.1 1 -5',
  ]) {
    stage.tell(`open 1 ${odd}`)
    t.equal((await stage.next('1', 'lost')).reason, 'odd address, port or tick', odd)
    stage.tell('close 1')
  }
  await stage.open('2')
  stage.tell(
    '',
    'open',
    'open 3',
    'open 4 127.0.0.1',
    'open x" 127.0.0.1 1',
    'open 2 127.0.0.1 1',
    'open 5 ::1 1 20 more',
    'mark',
  )
  t.match(await stage.report('2'), { lines: 0, lost: null })
  t.equal(stage.complaints.split('refused').length - 1, 8, stage.complaints)
  t.strictSame(stage.rest(), [])
})

t.test('pulse client: IPv6', { skip }, async (t) => {
  const stage = await Stage.begin(t, '::1').catch(() => null)
  if (stage === null) {
    t.pass('left out', { skip: 'there is no ::1' })
    return
  }
  const service = await stage.open('1')
  service.write('7 1 0\n')
  t.match(await stage.reportOf('1', 1), { lines: 1, lost: null })
})
