// Commands in containers of the real engine: their streams, input, terminal, signals, and what they leave behind.

import t from 'tap'
import type { EngineClient, ExecParams } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'

let stage: OneHost
let client: EngineClient

interface Ran {
  code: number
  stdout: string
  stderr: string
}

/** Runs a command to its end; its outputs apart. */
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

t.test('commands in containers of the native engine', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('a', 68)
  t.teardown(() => stage.network.close())
  client = stage.client

  await t.test('exec: streams apart, input, exit codes, environment, user, directory', async (t) => {
    const container = await stage.startFor(t, { environment: { COLOUR: 'blue' } })
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
    const container = await stage.startFor(t)
    const params = { container, environment: {}, directory: null, user: null, terminal: null }
    const slept = await client.exec({ ...params, command: ['sleep', '999'] })
    slept.signal(15)
    t.equal(await slept.exit, 143)
    const left = await client.exec({ ...params, command: ['sleep', '998'] })
    left.close()
    await until('the command to end', async () => !(await sh(container, 'ps -o args')).includes('sleep 998'))
  })

  await t.test('exec: what a command leaves behind belongs to the init of the container', async (t) => {
    const container = await stage.startFor(t)
    await run(container, ['sh', '-c', 'sleep 997 </dev/null >/dev/null 2>&1 &'])
    t.match(await sh(container, 'ps -o ppid,args | grep "[s]leep 997"'), /^1 /)
  })

  await t.test('exec: a terminal of the container, its size, resizing, Ctrl-C', async (t) => {
    const container = await stage.startFor(t)
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
})
