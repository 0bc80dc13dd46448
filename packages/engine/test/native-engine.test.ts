// The real engine on a host in namespaces of this machine: the life of containers, commands inside them, what it survives and
// what it refuses.

import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type DroverError, type Frame, FrameType } from '@drover/protocol'
import t, { type Test } from 'tap'
import { type EngineClient, type EngineContainer, type EngineSpec, type ExecParams, FrameStream } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { binary, reasonToSkip } from './engine-program.ts'
import { kernelIsAtLeast, sanitized, type TestHost, TestNetwork, until } from './native-hosts.ts'

let nextSerial = 1
let network: TestNetwork
let host: TestHost
let client: EngineClient

function makeSpec(changes: Partial<EngineSpec> = {}): EngineSpec {
  const serial = nextSerial++
  return {
    container: `c${serial}`,
    name: `web-${serial}`,
    epoch: 1,
    rootfs: join(network.directory, 'image'),
    init: ['/sbin/init'],
    environment: { COLOUR: 'blue' },
    limits: { cpuMilli: 0, memoryBytes: 0, diskBytes: 0, pids: 0 },
    identity: {
      serial,
      uidBase: 1_000_000 + serial * 65_536,
      mac: `02:00:00:00:01:${serial.toString(16).padStart(2, '0')}`,
      ipv4: `10.77.1.${serial}/16`,
      gateway: null,
      machineId: serial.toString(16).padStart(32, '0'),
    },
    ...changes,
  }
}

async function start(test: Test, changes: Partial<EngineSpec> = {}): Promise<EngineSpec> {
  const spec = makeSpec(changes)
  await client.call('create', { spec })
  test.teardown(() => client.call('delete', { container: spec.container, epoch: spec.epoch }))
  await client.call('start', { container: spec.container, epoch: spec.epoch })
  return spec
}

interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** Runs a command to its end. */
async function run(
  container: string,
  command: string[],
  changes: Partial<ExecParams> = {},
  stdin?: string,
): Promise<Ran> {
  const ran: Ran = { code: -1, stdout: '', stderr: '' }
  const session = await client.exec(
    { container, command, environment: {}, directory: null, user: null, terminal: null, ...changes },
    {
      onStdout: (data) => {
        ran.stdout += Buffer.from(data)
      },
      onStderr: (data) => {
        ran.stderr += Buffer.from(data)
      },
    },
  )
  if (stdin !== undefined) await session.write(stdin)
  if (changes.terminal === undefined) session.end()
  ran.code = await session.exit
  return ran
}

async function sh(container: string, script: string, changes: Partial<ExecParams> = {}): Promise<string> {
  const ran = await run(container, ['sh', '-c', script], changes)
  return (ran.stdout + ran.stderr).trim()
}

function state(container: string): Promise<EngineContainer> {
  return client.call('get', { container })
}

t.test('the native engine', { skip: reasonToSkip }, async (t) => {
  network = await TestNetwork.make('10.77.0.9/16')
  mkdirSync(join(network.directory, 'image'))
  makeEngineImage(join(network.directory, 'image'))
  host = await network.addHost('a', { binary, criu: null })
  client = await host.startEngine()
  t.teardown(() => network.close())

  await t.test('starts a container with its own pids, name, address, ids and console', async (t) => {
    const spec = await start(t)
    const running = await state(spec.container)
    t.match(running, { state: 'running', starts: 1, epoch: 1, exit: null, name: spec.name })
    t.ok(running.initPid && running.startedAtMs)
    const own = host.hierarchiesOf(spec.container)
    t.not(own.length, 0)
    t.notOk(own.includes('unified') && own.includes('freezer'), 'no cgroup of its own in a hierarchy that is not used')
    t.equal(await sh(spec.container, 'cat /proc/1/comm'), 'init')
    t.match(await sh(spec.container, 'cat /proc/1/cgroup'), /^(\S+:\/\n?)+$/, 'it sees no cgroup above its own')
    t.equal(await sh(spec.container, 'hostname; cat /etc/hostname'), `${spec.name}\n${spec.name}`)
    t.equal(await sh(spec.container, 'cat /etc/machine-id'), spec.identity.machineId)
    t.match(await sh(spec.container, 'ip addr show eth0'), new RegExp(`${spec.identity.mac}[^]*${spec.identity.ipv4}`))
    t.match(await sh(spec.container, 'ip addr show lo'), 'LOWER_UP')
    t.notMatch(await sh(spec.container, 'ip addr show eth0'), 'inet6', 'no address that nobody gave it')
    t.same((await sh(spec.container, 'cat /proc/self/uid_map')).split(/\s+/), [
      '0',
      `${spec.identity.uidBase}`,
      '65536',
    ])
    const log = await until('the console log', async () => {
      const part = await client.call('logs', { container: spec.container, offset: 0, limit: 1000 })
      return Buffer.from(part.dataBase64, 'base64').toString().includes('\n') && part
    })
    t.equal(Buffer.from(log.dataBase64, 'base64').toString(), 'hello from init\n')
    t.match(await client.call('logs', { container: spec.container, offset: -5, limit: 1000 }), { offset: 11, size: 16 })
    const { containers } = await client.call('list', {})
    t.same(
      containers.map((c) => c.container),
      [spec.container],
    )
  })

  await t.test('two containers and the host reach each other over the bridge', async (t) => {
    const one = await start(t)
    const two = await start(t)
    const address = two.identity.ipv4.split('/')[0]
    t.match(await sh(one.container, `ping -c 1 -W 5 ${address}`), '1 packets received')
  })

  await t.test('exec: streams apart, input, exit codes, environment, user, directory', async (t) => {
    const { container } = await start(t)
    t.same(await run(container, ['sh', '-c', 'echo out; echo err >&2; exit 7']), {
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    t.same(await run(container, ['cat'], {}, 'to and fro'), { code: 0, stdout: 'to and fro', stderr: '' })
    t.match(await run(container, ['no-such-command']), { code: 127, stderr: /no-such-command: command not found/ })
    t.match(await run(container, ['/etc/passwd']), { code: 126 })
    t.equal((await run(container, ['sh', '-c', 'kill -9 $$'])).code, 137)
    t.equal(
      await sh(container, 'echo $COLOUR $SHAPE $container $HOME; pwd', { environment: { SHAPE: 'round' } }),
      'blue round drover /root\n/root',
    )
    t.equal(await sh(container, 'pwd', { directory: '/tmp' }), '/tmp')
    t.match(await sh(container, 'id', { user: { uid: 1000, gid: 1001 } }), 'uid=1000 gid=1001')
    t.equal(
      await sh(container, 'echo again > /dev/stdout', { user: { uid: 1000, gid: 1000 } }),
      'again',
      'a pipe can be opened again',
    )
    const big = await run(container, ['sh', '-c', 'head -c 5000000 /dev/zero'])
    t.equal(big.stdout.length, 5_000_000, 'all of a long output arrives')
    await t.rejects(run(container, ['true'], { directory: '/nowhere' }), {
      code: 'ENGINE_FAILED',
      message: /change directory/,
    })
  })

  await t.test('exec: a signal reaches the command, and leaving hangs it up', async (t) => {
    const { container } = await start(t)
    const params = { container, environment: {}, directory: null, user: null, terminal: null }
    const slept = await client.exec({ ...params, command: ['sleep', '999'] })
    slept.signal(15)
    t.equal(await slept.exit, 143)
    const left = await client.exec({ ...params, command: ['sleep', '998'] })
    left.close()
    await until('the command to end', async () => !(await sh(container, 'ps -o args')).includes('sleep 998'))
  })

  await t.test('exec: what a command leaves behind belongs to the init of the container', async (t) => {
    const { container } = await start(t)
    await run(container, ['sh', '-c', 'sleep 997 </dev/null >/dev/null 2>&1 &'])
    t.match(await sh(container, 'ps -o ppid,args | grep "[s]leep 997"'), /^1 /)
  })

  await t.test('exec: a terminal of the container, its size, resizing, Ctrl-C', async (t) => {
    const { container } = await start(t)
    const terminal = { columns: 101, rows: 33 }
    t.match(await run(container, ['sh', '-c', 'tty; stty size'], { terminal }), {
      code: 0,
      stdout: '/dev/pts/0\r\n33 101\r\n',
    })
    let output = ''
    const session = await client.exec(
      { container, command: ['sh'], environment: {}, directory: null, user: null, terminal },
      {
        onStdout: (data) => {
          output += Buffer.from(data)
        },
      },
    )
    session.resize(77, 22)
    await session.write('stty size\n')
    await until('the new size', () => output.includes('22 77'))
    await session.write('sleep 999\n')
    await until('the sleep', async () => (await sh(container, 'ps -o args')).includes('sleep 999'))
    await session.write('\x03')
    await session.write('exit 5\n')
    t.equal(await session.exit, 5)
  })

  await t.test('freeze holds every process still until thaw', async (t) => {
    const { container } = await start(t)
    await sh(container, 'while true; do true; done </dev/null >/dev/null 2>&1 &')
    t.equal((await client.call('freeze', { container, epoch: 1 })).state, 'frozen')
    t.equal((await client.call('freeze', { container, epoch: 1 })).state, 'frozen', 'a second time is no error')
    const before = (await state(container)).cpuUsec
    await t.rejects(run(container, ['true']), { code: 'WRONG_STATE' })
    await client.call('wait', { container, timeoutMs: 200 })
    t.equal((await state(container)).cpuUsec, before)
    t.equal((await client.call('thaw', { container, epoch: 1 })).state, 'running')
    await until('it to run again', async () => (await state(container)).cpuUsec > before)
  })

  await t.test('power off, reboot, exit and kill are told apart', async (t) => {
    const { container } = await start(t)
    await sh(container, 'poweroff -f')
    t.match(await client.call('wait', { container, timeoutMs: 10_000 }), {
      state: 'stopped',
      exit: { reason: 'poweroff' },
      initPid: null,
    })
    t.match(await client.call('start', { container, epoch: 1 }), { state: 'running', starts: 2 })
    await sh(container, 'echo kept > /root/kept; reboot -f')
    const rebooted = await until('the reboot', async () => {
      const now = await state(container)
      return now.starts === 3 && now.state === 'running' && now
    })
    t.match(rebooted, { exit: { reason: 'reboot' } })
    t.equal(await sh(container, 'cat /root/kept'), 'kept', 'the disk outlives a reboot')
    t.match(await client.call('kill', { container, epoch: 1, signal: 9 }), {
      state: 'stopped',
      exit: { reason: 'killed', status: 9 },
    })
    const once = await start(t, { init: ['/bin/sh', '-c', 'exit 3'] })
    t.match(await client.call('wait', { container: once.container, timeoutMs: 10_000 }), {
      exit: { reason: 'exit', status: 3 },
    })
  })

  await t.test('stop asks init to power off, and kills it at the deadline', async (t) => {
    const polite = await start(t)
    t.match(await client.call('stop', { container: polite.container, epoch: 1, timeoutMs: 20_000 }), {
      state: 'stopped',
      exit: { reason: 'poweroff' },
    })
    const deaf = await start(t, { init: ['/bin/sh', '-c', 'trap "" TERM; while true; do sleep 1; done'] })
    t.match(await client.call('stop', { container: deaf.container, epoch: 1, timeoutMs: 50 }), {
      state: 'stopped',
      exit: { reason: 'killed', status: 9 },
    })
    const frozen = await start(t)
    await client.call('freeze', { container: frozen.container, epoch: 1 })
    t.match(await client.call('stop', { container: frozen.container, epoch: 1, timeoutMs: 20_000 }), {
      state: 'stopped',
    })
  })

  await t.test('subscribers hear of every change', async (t) => {
    const states: string[] = []
    t.teardown(client.onEvent((event) => states.push(event.container.state)))
    const { container } = await start(t)
    await client.call('kill', { container, epoch: 1, signal: 9 })
    await until('three events', () => states.length >= 3)
    t.same(states, ['created', 'running', 'stopped'])
  })

  await t.test('containers outlive a killed engine, and the next one adopts them', async (t) => {
    const runs = await start(t)
    const frozen = await start(t)
    const ends = await start(t)
    await client.call('freeze', { container: frozen.container, epoch: 1 })
    const before = await Promise.all([runs, frozen, ends].map((s) => state(s.container)))
    await host.killEngine()
    process.kill(before[2]?.initPid as number, 'SIGKILL')
    client = await host.startEngine()
    const facts = ({ initPid, startedAtMs, starts, state }: EngineContainer) => ({
      initPid,
      startedAtMs,
      starts,
      state,
    })
    t.same(facts(await state(runs.container)), facts(before[0] as EngineContainer))
    t.same(facts(await state(frozen.container)), facts(before[1] as EngineContainer))
    t.match(await state(ends.container), { state: 'stopped', initPid: null })
    t.equal(await sh(runs.container, 'echo hello'), 'hello')
    t.match(await client.call('thaw', { container: frozen.container, epoch: 1 }), { state: 'running' })
    await sh(runs.container, 'poweroff -f')
    t.match(
      await client.call('wait', { container: runs.container, timeoutMs: 10_000 }),
      // Before Linux 6.15 it isn't known of one that another process has reaped: who is first there is chance.
      { state: 'stopped', exit: { reason: kernelIsAtLeast(6, 15) ? 'poweroff' : /poweroff|killed/ } },
      'also the end of one that is not its child is understood',
    )
    t.match(await client.call('start', { container: ends.container, epoch: 1 }), { state: 'running', starts: 2 })
  })

  await t.test('others take the place of killed spawners, and they end with their engine', async (t) => {
    const killed = host.children('drover-spawner')
    t.ok(killed.length > 0, `there were ${killed.length}`)
    for (const pid of killed) {
      process.kill(pid, 'SIGKILL')
      await until('its end', () => readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '), 60_000)
    }
    const { container } = await start(t)
    t.equal(await sh(container, 'echo hello'), 'hello')
    const next = host.children('drover-spawner').filter((pid) => !killed.includes(pid))
    t.equal(next.length, 1, 'as many as were needed')
    await host.killEngine()
    await until('the end of the spawner', () => !existsSync(`/proc/${next[0]}`), 60_000)
    client = await host.startEngine()
  })

  await t.test('a half-made container is removed by the next engine', async (t) => {
    await host.killEngine()
    mkdirSync(join(host.stateDirectory, 'c999/upper'), { recursive: true })
    client = await host.startEngine()
    t.notOk(existsSync(join(host.stateDirectory, 'c999')))
  })

  await t.test('epochs: the same is kept, an older one refused, a newer one taken over', async (t) => {
    const spec = await start(t, { epoch: 5 })
    const { container } = spec
    t.match(await client.call('create', { spec }), { state: 'running', epoch: 5 })
    await t.rejects(client.call('create', { spec: { ...spec, epoch: 4 } }), { code: 'STALE_EPOCH' })
    await t.rejects(client.call('kill', { container, epoch: 4, signal: 9 }), { code: 'STALE_EPOCH' })
    await t.rejects(client.call('delete', { container, epoch: 4 }), { code: 'STALE_EPOCH' })
    t.match(await client.call('start', { container, epoch: 6 }), { state: 'running', epoch: 6 })
    await t.rejects(client.call('freeze', { container, epoch: 5 }), { code: 'STALE_EPOCH' })
    spec.epoch = 6
  })

  await t.test('limits hold', async (t) => {
    const { container } = await start(t, { limits: { cpuMilli: 500, memoryBytes: 32 << 20, diskBytes: 0, pids: 12 } })
    t.match(
      await sh(
        container,
        'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do sleep 100 </dev/null >/dev/null 2>&1 & done; echo end',
      ),
      /can't fork/,
    )
    t.ok((await state(container)).processes <= 12)
    const hungry = await start(t, { limits: { cpuMilli: 0, memoryBytes: 16 << 20, diskBytes: 0, pids: 0 } })
    // While the kernel still takes the memory of who it has killed it may kill another one: not init, where these are first.
    const eat = 'echo 1000 >/proc/self/oom_score_adj; head -c 64000000 /dev/zero | tail -c 64000000 | wc -c'
    const ate = await run(hungry.container, ['sh', '-c', eat])
    t.not(ate.stdout.trim(), '64000000')
    t.ok((await state(hungry.container)).memoryBytes <= 16 << 20)
    t.match(await state(hungry.container), { state: 'running' })
  })

  await t.test('a container sees and reaches nothing of its host', async (t) => {
    const { container } = await start(t)
    const processes = (await sh(container, 'ps -o args')).split('\n')
    t.ok(processes.length <= 6, `only its own processes, not ${processes.length}`)
    t.match(
      await sh(container, 'mount -t tmpfs none /proc/sys/kernel/random; echo x > /proc/sys/kernel/core_pattern'),
      /denied|Permission|read-only/i,
    )
    const bounding = BigInt(`0x${(await sh(container, 'grep CapBnd /proc/self/status')).split(/\s+/)[1]}`)
    for (const [name, bit] of Object.entries({
      SYS_MODULE: 16n,
      SYS_RAWIO: 17n,
      SYS_TIME: 25n,
      MAC_ADMIN: 33n,
      SYSLOG: 34n,
    })) {
      t.equal((bounding >> bit) & 1n, 0n, `without CAP_${name}`)
    }
    const readable = await sh(
      container,
      'for f in kcore kmsg timer_list slabinfo; do busybox head -c 1 /proc/$f; done 2>&1 | grep -v -e denied -e "No such file"',
    )
    t.notMatch(readable, /./, 'kernel memory and logs can not be read')
    const writable =
      'busybox find /proc/sys /proc/sysrq-trigger /sys -type f -writable 2>/dev/null | grep -v /net/ | grep -v ^/sys/fs/cgroup/'
    t.equal(await sh(container, writable), '', 'no setting of the kernel can be written, but those of its own network')
    t.match(await sh(container, 'grep Seccomp: /proc/1/status'), /2$/)
    t.notMatch(await sh(container, 'cat /proc/self/mountinfo'), network.directory, 'not even paths')
    t.match(await sh(container, 'busybox mknod /tmp/sda b 8 0; ls /tmp'), /not permitted/)
    t.notMatch(await sh(container, 'cat /proc/self/cgroup'), 'drover')
  })

  await t.test('links that a container makes lead the engine nowhere', async (t) => {
    const secret = join(network.directory, 'secret')
    writeFileSync(secret, 'secret of the host')
    t.teardown(() => rmSync(secret))
    const { container } = await start(t)
    await sh(
      container,
      `rm /var/log/console.log; ln -s ${secret} /var/log/console.log || busybox ln -s ${secret} /var/log/console.log`,
    )
    t.match(await client.call('logs', { container, offset: 0, limit: 1000 }), { size: 0 })
    await sh(
      container,
      'rm -r /var/log; busybox ln -s / /var/log; rm /etc/hostname; busybox ln -s /usr/etc/passwd /etc/hostname',
    )
    await client.call('kill', { container, epoch: 1, signal: 9 })
    t.match(await client.call('start', { container, epoch: 1 }), { state: 'running' })
    t.equal(readFileSync(secret, 'utf8'), 'secret of the host')
    const evil = join(network.directory, 'evil')
    mkdirSync(join(evil, 'dev-is-a-link'), { recursive: true })
    makeEngineImage(evil)
    rmSync(join(evil, 'dev'), { recursive: true })
    symlinkSync('../../../../../../../../../../../../../tmp', join(evil, 'dev'))
    const trapped = await start(t, { rootfs: evil })
    t.equal(
      await sh(trapped.container, 'ls -l /tmp/null | head -c 10'),
      'crw-rw-rw-',
      'the link was followed inside the root only',
    )
    t.notOk(existsSync('/tmp/urandom'))
  })

  await t.test('a start that fails says why and can be repeated', async (t) => {
    const spec = makeSpec({ init: ['/no/such/init'] })
    const { container } = spec
    await client.call('create', { spec })
    t.teardown(() => client.call('delete', { container, epoch: 1 }))
    await t.rejects(client.call('start', { container, epoch: 1 }), {
      code: 'ENGINE_FAILED',
      message: /run its init \/no\/such\/init: No such file/,
    })
    t.match(await state(container), { state: 'created', initPid: null, starts: 0 })
    await t.rejects(client.call('create', { spec: makeSpec({ rootfs: '/no/such/image' }) }), {
      code: 'IMAGE_NOT_FOUND',
    })
  })

  await t.test('bad requests get a clear error, and the engine goes on', async (t) => {
    const call = client.call.bind(client) as (method: string, params: unknown) => Promise<unknown>
    const spec = makeSpec()
    const refused: [string, string, unknown, RegExp][] = [
      ['an unknown method', 'fly', {}, /`fly`/],
      ['a missing field', 'get', {}, /`container`/],
      ['a wrong type', 'start', { container: 7, epoch: 1 }, /`container`: must be a string/],
      ['an epoch that is no integer', 'start', { container: 'c1', epoch: 'x' }, /`epoch`/],
      ['a path as id', 'create', { spec: { ...spec, container: '../etc' } }, /`container`/],
      ['a name that is no label', 'create', { spec: { ...spec, name: 'a b' } }, /`name`/],
      [
        'a uid range of the host',
        'create',
        { spec: { ...spec, identity: { ...spec.identity, uidBase: 0 } } },
        /`uidBase`/,
      ],
      ['a bad MAC', 'create', { spec: { ...spec, identity: { ...spec.identity, mac: 'x' } } }, /`mac`/],
      ['a bad address', 'create', { spec: { ...spec, identity: { ...spec.identity, ipv4: '1.2.3' } } }, /`ipv4`/],
      ['no init', 'create', { spec: { ...spec, init: [] } }, /`init`/],
      ['a zero byte', 'create', { spec: { ...spec, init: ['/bin/\0sh'] } }, /`init`/],
      ['a huge limit', 'logs', { container: 'c1', offset: 0, limit: 1 << 30 }, /`limit`/],
    ]
    for (const [name, method, params, message] of refused)
      await t.rejects(call(method, params), { code: 'BAD_REQUEST', message }, name)
    await t.rejects(call('get', { container: 'c4711' }), { code: 'CONTAINER_NOT_FOUND' })
    await t.rejects(call('hello', { protocolVersion: 99 }), { code: 'VERSION_MISMATCH' })
    t.equal(await call('delete', { container: 'c4711', epoch: 1 }), null, 'deleting what is not there is no error')

    const raw = async (bytes: Buffer): Promise<{ frames: Frame[]; stream: FrameStream }> => {
      const socket = connect(host.socket)
      await once(socket, 'connect')
      const frames: Frame[] = []
      const stream = new FrameStream(socket, { onFrame: (frame) => frames.push(frame), onClose: () => {} })
      socket.write(bytes)
      await until('an answer', () => frames.length > 0)
      return { frames, stream }
    }
    const frame = (text: string) => {
      const body = Buffer.concat([Buffer.from([FrameType.json]), Buffer.from(text)])
      const head = Buffer.alloc(4)
      head.writeUInt32LE(body.length)
      return Buffer.concat([head, body])
    }
    for (const text of [
      '{',
      '[]',
      '7',
      '\xff\xfe',
      '{"id":{},"method":"list","params":{}}',
      `${'['.repeat(200_000)}`,
    ]) {
      const { frames, stream } = await raw(frame(text))
      t.match(
        JSON.parse(Buffer.from(frames[0]?.payload ?? '').toString()),
        { id: null, error: { code: 'BAD_REQUEST' } },
        text.slice(0, 20),
      )
      t.notOk(stream.closed, 'the connection stays open')
      stream.destroy()
    }
    for (const [bytes, code] of [
      [Buffer.from([0xff, 0xff, 0xff, 0x7f, 0]), 'TOO_LARGE'],
      [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'TOO_LARGE'],
      [Buffer.from([0, 0, 0, 0]), 'BAD_REQUEST'],
    ] as const) {
      const { frames, stream } = await raw(bytes)
      t.equal(frames[0]?.type, FrameType.error)
      t.match(JSON.parse(Buffer.from(frames[0]?.payload ?? '').toString()), { error: { code } })
      await until('the connection to end', () => stream.closed)
    }
    t.match(await client.call('hello', { protocolVersion: 1 }), { protocolVersion: 1 })
  })

  await t.test('many at once: each gets its answer, and nothing is left', async (t) => {
    const specs = Array.from({ length: 12 }, () => makeSpec())
    const image = await Promise.all(
      specs.map(async (spec) => {
        await client.call('create', { spec })
        await client.call('start', { container: spec.container, epoch: 1 })
        const said = await sh(spec.container, 'hostname')
        await client.call('delete', { container: spec.container, epoch: 1 })
        return said
      }),
    ).catch((error: DroverError) => error.message)
    t.same(
      image,
      specs.map((spec) => spec.name),
    )
    t.same((await client.call('list', {})).containers, [])
    t.same(host.leftovers(), [], 'nor of any container of this test')
    const hello = await client.call('hello', { protocolVersion: 1 })
    t.ok(sanitized || hello.residentBytes < 16 << 20, `the engine takes ${hello.residentBytes} bytes`)
  })
})
