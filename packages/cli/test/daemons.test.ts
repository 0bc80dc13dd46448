// How daemons are started, found ready and stopped; with real processes, since that is all there is to it.

import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { nextStep } from '../src/commands/up.ts'
import {
  busProcessors,
  configFile,
  type Daemon,
  endedByItself,
  ensureCertificate,
  examine,
  findNatsServer,
  hostLabel,
  identify,
  natsDaemon,
  type ProcessIdentity,
  pidFile,
  readPidFile,
  runningDaemon,
  startDaemon,
  stopDaemon,
  waitUntil,
  writePidFile,
} from '../src/daemons/index.ts'
import { accepts } from '../src/daemons/probes.ts'

function directory(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'drover-daemons-'))
  t.teardown(async () => {
    await stopDaemon(made, 0)
    await removeDirectory(made)
  })
  return made
}

/** A daemon that listens on a socket in its directory, and does `more`. */
function daemonIn(made: string, more = ''): Daemon {
  const socket = join(made, 'socket')
  const program = `${more}; require('node:net').createServer().listen(${JSON.stringify(socket)})`
  return {
    kind: 'agent',
    owner: 'test',
    directory: made,
    configText: '{"secret": true}\n',
    command: [process.execPath, '-e', program],
    prefix: ['env'],
    ready: () => accepts({ path: socket }),
  }
}

t.test('startDaemon: starts it once, and finds it running the next time', async (t) => {
  const made = directory(t)
  t.equal(await startDaemon(daemonIn(made)), 'started')
  const first = runningDaemon(made)
  t.ok(first)
  t.equal(await startDaemon(daemonIn(made)), 'running')
  t.strictSame(runningDaemon(made), first, 'the same process')
  t.equal(statSync(configFile(made)).mode & 0o777, 0o600, 'its configuration is its owner’s alone')
  t.equal(await stopDaemon(made), 'stopped')
  t.equal(runningDaemon(made), null)
  t.equal(await stopDaemon(made), 'absent')
})

t.test('startDaemon: a daemon has its own environment, and nothing of ours', async (t) => {
  const made = directory(t)
  process.env.DROVER_TEST_OURS = 'ours'
  t.teardown(() => delete process.env.DROVER_TEST_OURS)
  const write = `require('node:fs').writeFileSync(${JSON.stringify(join(made, 'seen'))}, JSON.stringify(process.env))`
  await startDaemon({ ...daemonIn(made, write), environment: { GOMAXPROCS: '1' } })
  const seen = JSON.parse(readFileSync(join(made, 'seen'), 'utf8'))
  t.match(seen, { GOMAXPROCS: '1', PATH: String })
  t.notMatch(seen, { DROVER_TEST_OURS: String })
})

t.test('the bus takes one processor of a small host and a quarter of a large one’s', async (t) => {
  for (const [processors, taken] of [
    [1, 1],
    [2, 1],
    [7, 1],
    [8, 2],
    [64, 16],
  ] as const)
    t.equal(busProcessors(processors), taken, `of ${processors}`)
})

t.test('startDaemon: one that ends while starting is an error that shows its log', async (t) => {
  const made = directory(t)
  const daemon = daemonIn(made, "console.error('port taken'); process.exit(3)")
  await t.rejects(startDaemon(daemon), {
    code: 'WRONG_STATE',
    message: /agent of test ended while starting:\nport taken/,
  })
})

t.test('startDaemon: a program that is not there is an error that names it', async (t) => {
  const made = directory(t)
  const daemon = { ...daemonIn(made), prefix: [], command: ['/nowhere/at/all'] }
  await t.rejects(startDaemon(daemon), { code: 'WRONG_STATE', message: /\/nowhere\/at\/all/ })
})

t.test('startDaemon: one that never gets ready is an error that shows its log', async (t) => {
  const made = directory(t)
  const daemon = {
    ...daemonIn(made, "console.error('waiting for godot')"),
    ready: async () => readFileSync(join(made, 'log'), 'utf8') === 'never',
  }
  await t.rejects(startDaemon(daemon, 500), { code: 'TIMED_OUT', message: /agent of test to be ready/ })
})

t.test('stopDaemon: one that ignores SIGTERM is killed', async (t) => {
  const made = directory(t)
  await startDaemon(daemonIn(made, "process.on('SIGTERM', () => {})"))
  t.equal(await stopDaemon(made, 200), 'killed')
  t.equal(existsSync(pidFile(made)), false)
})

t.test('pid file: a pid that was given to another process is not ours, and is not killed', async (t) => {
  const made = directory(t)
  const own = identify(process.pid)
  t.ok(own)
  writePidFile(pidFile(made), { pid: process.pid, startTicks: (own?.startTicks ?? 0) - 1 })
  t.equal(readPidFile(pidFile(made)), null)
  t.equal(await stopDaemon(made), 'absent', 'and this test lives on')
})

t.test('started by two at once it runs once', async (t) => {
  const made = directory(t)
  const count = `require('node:fs').appendFileSync(${JSON.stringify(join(made, 'starts'))}, 'x')`
  // Of one that was killed in its start, and of one in an earlier boot.
  const stale = ['starting.4000000.1.boot', `starting.${process.pid}.1.boot`]
  for (const name of stale) writeFileSync(join(made, name), '')
  const outcomes = await Promise.all([startDaemon(daemonIn(made, count)), startDaemon(daemonIn(made, count))])
  t.same(outcomes.sort(), ['running', 'started'])
  t.equal(readFileSync(join(made, 'starts'), 'utf8'), 'x')
  t.same(
    readdirSync(made).filter((name) => name.startsWith('starting')),
    [],
  )
})

t.test('one that ended by itself is told from one that was stopped, or is being stopped', async (t) => {
  const made = directory(t)
  t.equal(endedByItself(made), false, 'never started')
  await startDaemon(daemonIn(made))
  t.equal(endedByItself(made), false, 'it runs')
  const { pid } = runningDaemon(made) as ProcessIdentity
  process.kill(pid, 'SIGKILL')
  await waitUntil('its end', 60_000, () => identify(pid) === null)
  t.equal(endedByItself(made), true)
  const deaf = directory(t)
  await startDaemon(daemonIn(deaf, 'process.on("SIGTERM", () => {})'))
  const stopping = stopDaemon(deaf, 1_000)
  process.kill((runningDaemon(deaf) as ProcessIdentity).pid, 'SIGKILL')
  await waitUntil('its end', 60_000, () => runningDaemon(deaf) === null)
  t.equal(endedByItself(deaf), false, 'it was told to end')
  await stopping
  t.equal(endedByItself(deaf), false)
})

t.test('pid file: a process of an earlier boot is not ours, with the same pid and start', async (t) => {
  const made = directory(t)
  const own = identify(process.pid)
  if (own === null) throw new Error('this process has no start')
  writePidFile(pidFile(made), own)
  t.same(readPidFile(pidFile(made)), own)
  writeFileSync(pidFile(made), JSON.stringify({ ...own, boot: 'another' }))
  t.equal(readPidFile(pidFile(made)), null)
})

t.test('pid file: nonsense in it is no process', async (t) => {
  const made = directory(t)
  for (const text of ['', 'null', '{"pid":1,"startTicks":0}', '{"pid":-1,"startTicks":0}', '{"pid":"7"}', '12']) {
    writeFileSync(pidFile(made), text)
    t.equal(readPidFile(pidFile(made)), null, JSON.stringify(text))
  }
})

t.test('waitUntil: gives the value, or says what it waited for and why it did not come', async (t) => {
  let asked = 0
  t.equal(await waitUntil('three', 5_000, () => (++asked === 3 ? 'there' : null), 1), 'there')
  const never = waitUntil('godot', 20, () => Promise.reject(new Error('not today')), 1)
  await t.rejects(never, { code: 'TIMED_OUT', message: 'waited 20 ms for godot: not today' })
})

t.test('certificates: made once, for their addresses, and anew when an address is added', (t) => {
  const made = directory(t)
  const request = { authority: join(made, 'ca'), directory: join(made, 'a'), cluster: 'lab', host: 'a' }
  const files = ensureCertificate({ ...request, addresses: ['10.1.0.2'] })
  const first = readFileSync(files.certificate, 'utf8')
  const certificate = new X509Certificate(first)
  t.ok(certificate.checkIP('10.1.0.2'))
  t.notOk(certificate.checkIP('10.1.0.3'))
  t.notOk(certificate.ca)
  t.ok(certificate.verify(new X509Certificate(readFileSync(files.authority)).publicKey))
  t.equal(statSync(files.key).mode & 0o777, 0o600)
  ensureCertificate({ ...request, addresses: ['10.1.0.2'] })
  t.equal(readFileSync(files.certificate, 'utf8'), first, 'it is kept')
  ensureCertificate({ ...request, addresses: ['10.1.0.2', 'a.example.org'] })
  const second = new X509Certificate(readFileSync(files.certificate))
  t.ok(second.checkHost('a.example.org'))
  t.ok(second.verify(new X509Certificate(readFileSync(files.authority)).publicKey), 'by the same authority')
  t.end()
})

t.test('nats: nats-server accepts the configuration, with and without routes, whatever is in the secret', async (t) => {
  const program = findNatsServer()
  if (program === null) {
    t.pass('left out', { skip: 'there is no nats-server' })
    return
  }
  const made = directory(t)
  const common = {
    name: 'a',
    owner: 'a',
    directory: made,
    program,
    prefix: [],
    cluster: 'lab',
    address: '127.0.0.1',
    port: 4222,
    tls: ensureCertificate({
      authority: join(made, 'authority'),
      directory: join(made, 'tls'),
      cluster: 'lab',
      host: 'a',
      addresses: ['127.0.0.1'],
    }),
  }
  for (const secret of ['plain-secret-of-16', 'with "quotes" $and #hash', '1234567890123456']) {
    for (const routes of [null, { port: 6222, peers: [{ address: '127.0.0.2', port: 6222 }] }]) {
      const { configText, environment } = natsDaemon({ ...common, secret, routes })
      t.equal(environment?.GOMAXPROCS, String(busProcessors(availableParallelism())))
      writeFileSync(configFile(made), configText)
      const tried = spawnSync(program, ['-t', '-c', configFile(made)], { encoding: 'utf8' })
      t.equal(tried.status, 0, `${secret}: ${tried.stderr}`)
    }
  }
})

t.test('hostLabel: any machine name becomes a DNS label', async (t) => {
  const table = [
    ['web-7', 'web-7'],
    ['Web_7.example.org', 'web-7'],
    ['--x--', 'x'],
    ['', 'host'],
    ['ÄÖÜ', 'host'],
    ['a'.repeat(80), 'a'.repeat(63)],
  ] as const
  for (const [name, label] of table) t.equal(hostLabel(name), label, name)
})

t.test('examine: each finding that is not well says what to do', async (t) => {
  const findings = examine()
  t.ok(findings.length > 15)
  for (const { name, status, value, advice } of findings) {
    t.ok(value.length > 0, name)
    t.equal(advice === null, status === 'ok', `${name}: advice exactly when it is ${status}`)
  }
})

t.test('examine: the disk is that of the data directory, which need not be there yet', async (t) => {
  const disk = (data?: string) => examine(data).find(({ name }) => name === 'disk')?.value
  t.match(disk(t.testdir({})), new RegExp(`GiB free at ${t.testdirName}$`))
  t.match(disk(`${t.testdirName}/not/yet`), new RegExp(`GiB free at ${t.testdirName}$`))
  t.match(disk('/dev/shm/not-yet'), /free at \/dev\/shm$/)
})

t.test('up: what to say next goes by the images that there are', async (t) => {
  t.match(nextStep([]), /image build busybox; drover launch web/)
  t.equal(nextStep(['debian', 'busybox']), 'drover launch web')
  t.equal(nextStep(['debian']), 'drover launch web --image debian')
})
