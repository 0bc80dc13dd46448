// Memory that goes ahead of the freeze, a process's own and what it shares: what was written, and only that, is in the dump that follows, and
// after the move every page is what the process knows it to be. The parts are laid here as memory_copy.h says, by code that knows nothing of the agent's. What
// the destination's engine has taken before the restore is not read again: the files may hold anything then.

import { execFileSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import type { EngineSpec } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { checkCount, chooseCriu, images, MigrationStage } from './migration-stage.ts'
import { type TestHost, until } from './native-hosts.ts'
import { sh } from './run-inside.ts'

const parent = join(dirname(images), 'parent')
const program = fileURLToPath(new URL('./writer.c', import.meta.url))
const partBytes = 4 << 20
const hops = 6
const roundsDeadlineMs = 90_000
/** Its own pages, those that it shares, and those of a file (writer.c). */
const good = 'good 12288 7168 1024'
/** Its own pages, and most of those that it shares. */
const mostOfIt = (12288 + 7168 - 1024) * 4096

function compile(to: string): boolean {
  try {
    execFileSync('cc', ['-O2', '-static', '-o', to, program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

t.test('memory ahead of a move', { skip: reasonToSkip, timeout: 480_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const writer = join(t.testdir(), 'writer')
  if (!compile(writer)) return t.comment('no C compiler, or no static C library')
  const stage = await MigrationStage.set(criu.path, (image) => cpSync(writer, join(image, 'bin/writer')))
  t.teardown(() => stage.strike())
  const launched = await stage.launch(stage.a)
  const { spec, stream } = launched
  await sh(
    stage.a.client,
    spec.container,
    'setsid writer >/dev/null 2>&1 </dev/null & until [ -s /tmp/writer.pid ]; do usleep 1000; done',
  )

  let least = Number.POSITIVE_INFINITY
  for (let hop = 0; hop < hops; hop++) {
    const [from, to] = hop % 2 === 0 ? [stage.a, stage.b] : [stage.b, stage.a]
    const ahead = await copyAhead(from, spec)
    if (!ahead.tracked) {
      t.comment('this kernel does not track writes by userfaultfd')
      break
    }
    t.ok(ahead.rounds >= 2, `${ahead.rounds} rounds, ${ahead.bytes} bytes`)
    const { dumped, staged, verdict } = await carry(stage, from, to, spec, ahead, hop)
    // After an mremap all counts as written: the dump may then hold all of it, and must be right as well.
    least = Math.min(least, dumped)
    t.comment(`hop ${hop + 1}: ${ahead.bytes} bytes ahead, ${dumped} in the dump`)
    t.equal(verdict, good, `hop ${hop + 1}: every page is what it was`)
    // Every other time CRIU is asked ahead.
    t.equal(staged, hop % 2 === 0, `hop ${hop + 1}: ${staged ? 'taken before' : 'read by'} the restore`)
    await stream.more(5)
  }
  if (least < Number.POSITIVE_INFINITY)
    t.ok(least < 24 << 20, `at least one dump leaves out what was sent: ${least} bytes`)
  checkCount(t, stream)
  await t.test('what was taken is charged to the container, and goes with it when the move is given up', (t) =>
    giveUp(t, stage, spec),
  )
  await t.test('pages that were laid wrongly are found', async (t) => {
    const ahead = await copyAhead(stage.a, spec)
    if (!ahead.tracked) return t.comment('this kernel does not track writes by userfaultfd')
    for (const head of ahead.heads) spoil(ahead.laid, head, (image) => sharedImages(ahead.laid).has(image))
    const { verdict } = await carry(stage, stage.a, stage.b, spec, ahead, hops)
    t.match(verdict, /^bad \d+$/, 'what is shared comes from where it was laid')
    await stage.remove(stage.b, launched)
  })
})

/** The rest of a move, and what the writer says after it. */
async function carry(
  stage: MigrationStage,
  from: TestHost,
  to: TestHost,
  spec: EngineSpec,
  ahead: Awaited<ReturnType<typeof copyAhead>>,
  hop: number,
) {
  const { container, epoch } = spec
  await stage.moveUntilCopied(from, to, spec)
  const dumped = bytesOfPages(from)
  const there = to.path(join(images, 'parent'))
  rmSync(there, { force: true })
  cpSync(ahead.laid, there, { recursive: true })
  rmSync(ahead.laid, { recursive: true })
  const staged = await stageAhead(to, spec, ahead.heads, hop)
  await to.client.call('restore', { container, epoch, directory: images })
  await stage.finish(from, to, spec)
  const verdict = await sh(
    to.client,
    container,
    'rm -f /tmp/verdict; kill -USR1 $(cat /tmp/writer.pid); until [ -s /tmp/verdict ]; do usleep 1000; done; cat /tmp/verdict',
  )
  return { dumped, staged, verdict }
}

/** From a to b; that nothing is left there is looked at in the end, when the stage is struck. */
async function giveUp(t: Test, { a, b }: MigrationStage, spec: EngineSpec): Promise<void> {
  const { container, epoch } = spec
  const forget = () => a.client.call('copyMemory', { container, epoch, directory: parent, mostBytes: 0 })
  let ahead = await copyAhead(a, spec)
  // What it has of its own is left to the dump from where the writer moves it to another address.
  const whole = async () => {
    if (!ahead.tracked || ahead.firstBytes > mostOfIt) return true
    await forget()
    ahead = await copyAhead(a, spec)
    return false
  }
  await until('its own memory to go ahead', whole, roundsDeadlineMs)
  if (!ahead.tracked) return
  const there = b.path(images)
  rmSync(there, { recursive: true, force: true })
  mkdirSync(there, { recursive: true, mode: 0o755 })
  const { startedAtMs, starts } = await a.client.call('get', { container })
  await b.client.call('prepareRestore', { spec, startedAtMs, starts, directory: images })
  cpSync(ahead.laid, join(there, 'parent'), { recursive: true })
  rmSync(ahead.laid, { recursive: true })
  t.equal(await stageAhead(b, spec, ahead.heads, 0), true)
  const { memoryBytes } = await b.client.call('usage', { container, fileSystems: false })
  t.ok(memoryBytes > 40 << 20, `${memoryBytes} bytes`)
  const unasked = { container, epoch, directory: images, part: ahead.heads.length + 2, bytes: partBytes }
  t.same(await b.client.call('stageMemory', unasked), { staged: false }, 'a part that does not follow')
  await until(
    'the memory to be free',
    async () => (await b.client.call('usage', { container, fileSystems: false })).memoryBytes < 20 << 20,
  )
  await b.client.call('delete', { container, epoch })
  t.match(await a.client.call('get', { container }), { state: 'running' })
  await forget()
}

/** Rounds until one is small, laid into a directory as the destination would. */
async function copyAhead(from: TestHost, spec: EngineSpec) {
  const { container, epoch } = spec
  const laid = from.path(`${parent}-laid`)
  let tracked = false
  let rounds = 0
  let bytes = 0
  let firstBytes = 0
  let round = { number: 0, bytes: 0 }
  const heads: Buffer[] = []
  await until(
    'the rounds to become small',
    async () => {
      const part = await from.client.call('copyMemory', { container, epoch, directory: parent, mostBytes: partBytes })
      if (!part.tracked) return true
      if (!tracked) {
        mkdirSync(dirname(laid), { recursive: true })
        rmSync(laid, { recursive: true, force: true })
        cpSync(from.path(parent), laid, { recursive: true, filter: (path) => !path.includes('/part-') })
      }
      tracked = true
      if (part.file !== null) {
        const data = readFileSync(from.path(join(parent, part.file)))
        heads.push(data.subarray(0, headOf(data)))
        lay(data, laid)
        rmSync(from.path(join(parent, part.file)))
      }
      if (part.round !== round.number) round = { number: part.round, bytes: 0 }
      round.bytes += part.bytes
      rounds = part.round
      bytes += part.bytes
      // Later ones say the same pages again.
      if (rounds === 1) firstBytes += part.bytes
      return part.leftBytes === 0 && rounds >= 2
    },
    roundsDeadlineMs,
  )
  return { tracked, rounds, bytes, firstBytes, laid, heads }
}

/**
 * Has the engine take all that was laid. Its files are spoilt then; the last time one more part is laid instead of which it is not told, and the
 * files must be what counts.
 */
async function stageAhead(
  to: TestHost,
  { container, epoch }: EngineSpec,
  heads: Buffer[],
  hop: number,
): Promise<boolean> {
  const there = join(images, 'parent')
  let staged = true
  for (const [index, head] of heads.entries()) {
    const part = index + 1
    writeFileSync(to.path(join(there, `laid-${part}`)), head)
    const params = { container, epoch, directory: images, part, bytes: partBytes }
    staged = staged && (await to.client.call('stageMemory', params)).staged
  }
  if (!staged) return false
  const shared = sharedImages(to.path(there))
  if (hop < hops - 2) for (const head of heads) spoil(to.path(there), head, (image) => !shared.has(image))
  else writeFileSync(to.path(join(there, `laid-${heads.length + 1}`)), heads[0] as Buffer)
  return true
}

/** All but short runs: what is not taken ahead, the vDSO and pages of files, comes in short ones. */
function spoil(directory: string, head: Buffer, chosen: (image: number) => boolean): void {
  for (let at = 4; at < head.length; at += 16) {
    const pages = head.readUInt32LE(at + 4)
    if (pages < 8 || !chosen(head.readUInt32LE(at))) continue
    const fd = openSync(join(directory, `pages-${head.readUInt32LE(at)}.img`), 'r+')
    writeSync(fd, Buffer.alloc(pages * 4096, 0xff), 0, pages * 4096, Number(head.readBigUInt64LE(at + 8)) * 4096)
    closeSync(fd)
  }
}

/** Numbers of the files with the pages of shared memory: the first field of the first entry after two magic numbers and its length. */
function sharedImages(directory: string): Set<number> {
  const lists = readdirSync(directory).filter((name) => name.startsWith('pagemap-shmem-'))
  return new Set(lists.map((name) => readFileSync(join(directory, name)).readUInt8(8 + 4 + 1)))
}

const headOf = (part: Buffer) => 4 + part.readUInt32LE(0) * 16

function lay(part: Buffer, directory: string): void {
  const count = part.readUInt32LE(0)
  let from = headOf(part)
  for (let at = 4; at < 4 + count * 16; at += 16) {
    const length = part.readUInt32LE(at + 4) * 4096
    const fd = openSync(join(directory, `pages-${part.readUInt32LE(at)}.img`), 'r+')
    writeSync(fd, part, from, length, Number(part.readBigUInt64LE(at + 8)) * 4096)
    closeSync(fd)
    from += length
  }
}

function bytesOfPages(host: TestHost): number {
  const directory = host.path(images)
  const files = readdirSync(directory).filter((name) => name.startsWith('pages-'))
  return files.reduce((total, name) => total + statSync(join(directory, name)).size, 0)
}
