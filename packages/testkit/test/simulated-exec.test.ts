// exec in a simulated container: outputs, exit codes, input, terminals and signals, and nothing of the host's.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FrameType } from '@drover/protocol'
import t from 'tap'
import { run, setUp } from './simulated-engine-fixture.ts'

t.test('exec: outputs and exit codes', async (t) => {
  const { client, spec, exec, rootfs } = await setUp(t)
  await run(client, spec())
  writeFileSync(join(rootfs, 'motd'), 'hello from the image\n')
  const cases: { command: string[]; stdout?: string; stderr?: RegExp; exitCode?: number }[] = [
    { command: ['true'] },
    { command: ['false'], exitCode: 1 },
    { command: ['echo', 'a', 'b c'], stdout: 'a b c\n' },
    { command: ['/bin/hostname'], stdout: 'web-1\n' },
    { command: ['sh', '-c', 'exit 3'], exitCode: 3 },
    { command: ['sh', '-c', 'echo one && false || echo two; echo "$container"'], stdout: 'one\ntwo\ndrover\n' },
    { command: ['cat', '/motd'], stdout: 'hello from the image\n' },
    { command: ['cat', '/absent'], stderr: /can't open '\/absent'/, exitCode: 1 },
    { command: ['sh', '-c', 'echo kept > /srv/note; cat /srv/note'], stdout: 'kept\n' },
    { command: ['sh', '-c', 'echo a | cat'], stderr: /not supported/, exitCode: 2 },
    { command: ['gcc'], stderr: /gcc: not found/, exitCode: 127 },
    { command: ['tty'], stdout: 'not a tty\n', exitCode: 1 },
    { command: ['constructor'], stderr: /not found/, exitCode: 127 },
  ]
  for (const { command, stdout = '', stderr = /^$/, exitCode = 0 } of cases) {
    const session = await exec(command)
    t.equal(await session.exitCode(), exitCode, command.join(' '))
    t.equal(session.output(FrameType.stdout), stdout, command.join(' '))
    t.match(session.output(FrameType.stderr), stderr, command.join(' '))
  }
})

t.test('exec: a path or a link that leads out of the container finds nothing', async (t) => {
  const { client, spec, exec, directory } = await setUp(t)
  await run(client, spec())
  writeFileSync(join(directory, 'secret'), 'of the host')
  for (const path of ['/../../secret', '../../../../../../../../etc/passwd']) {
    const session = await exec(['cat', path])
    t.equal(await session.exitCode(), 1, path)
    t.equal(session.output(FrameType.stdout), '')
  }
})

t.test('exec: stdin goes through, whole and in order, until its end', async (t) => {
  const { client, spec, exec } = await setUp(t)
  await run(client, spec())
  const session = await exec(['cat'])
  const block = Buffer.alloc(300_000, 'abcdefghij')
  for (let count = 0; count < 20; count++) session.frame(FrameType.stdin, block)
  session.frame(FrameType.stdinEnd, '')
  t.equal(await session.exitCode(), 0)
  t.equal(session.output(FrameType.stdout).length, 20 * block.length)
})

t.test('exec: a terminal has a size that follows, and a dialogue', async (t) => {
  const { client, spec, exec } = await setUp(t)
  await run(client, spec())
  const session = await exec(['sh'], { terminal: { columns: 80, rows: 24 } })
  session.frame(FrameType.stdin, 'stty size\r')
  await session.until(() => session.output(FrameType.stdout).includes('24 80\n'))
  session.frame(FrameType.resize, JSON.stringify({ columns: 100, rows: 40 }))
  session.frame(FrameType.stdin, 'stty size\r')
  await session.until(() => session.output(FrameType.stdout).includes('40 100\n'))
  session.frame(FrameType.stdin, 'exit 7\r')
  t.equal(await session.exitCode(), 7)
})

t.test('exec: a signal ends the program with 128 + signal', async (t) => {
  const { client, spec, exec } = await setUp(t)
  await run(client, spec())
  const session = await exec(['sleep', '1000'])
  session.frame(FrameType.signal, JSON.stringify({ signal: 15 }))
  t.equal(await session.exitCode(), 143)
})

t.test('exec: only in a running container', async (t) => {
  const { client, spec, exec } = await setUp(t)
  await client.call('create', { spec: spec() })
  const answer = (await exec(['true'])).answers()[0]
  t.equal(answer?.error?.code, 'WRONG_STATE')
})
