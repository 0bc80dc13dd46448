// Two machines with nothing on them become one cluster by `drover up` alone: the first is a cluster of its own, the second joins by a token.
// Their containers are in one network and move live; then the second machine is emptied and removed.

import { join } from 'node:path'
import { isNodeUp, programs, readSettings, waitUntil } from '@drover/cli/daemons'
import type { Container, HostTokenMade, HostView } from '@drover/protocol'
import { Lab, run } from '@drover/testkit/lab'
import t from 'tap'
import { settleDeadlineMs, whyNot } from '../src/stories.ts'

const skip = whyNot()
if (skip !== null) t.pass('left out', { skip })
else await tellIt()

async function tellIt(): Promise<void> {
  const lab = await Lab.start({ hosts: ['a', 'b'], controllers: 1, daemons: false })
  /** A `drover` command on that machine. */
  const drover = (machine: string, ...args: string[]) => {
    const [program, ...prefix] = lab.host(machine).prefix
    const env = { ...process.env, NO_COLOR: '1', DROVER_CONFIG: join(lab.directory, `${machine}-client.json`) }
    return run(program as string, [...prefix, process.execPath, programs.cli, ...args], { env })
  }
  const must = async <Answer>(machine: string, ...args: string[]): Promise<Answer> => {
    const { code, stdout, stderr } = await drover(machine, ...args, '--json')
    if (code !== 0) throw new Error(`on ${machine}: drover ${args[0]} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout) as Answer
  }
  const dataOf = (machine: string) => join(lab.directory, `${machine}-data`)
  // The kernel's settings are those of the machine that the test runs on.
  const up = (machine: string, ...args: string[]) => ['up', '--data', dataOf(machine), '--no-tune-host', ...args]
  const container = (name: string) => must<Container>('a', 'info', name)
  const reaches = async (from: string, to: string) => {
    const address = (await container(to)).identity.ipv4.split('/')[0] as string
    await waitUntil(`${from} to reach ${to}`, settleDeadlineMs, async () => {
      const { code } = await drover('a', 'exec', from, '--', 'ping', '-c', '1', '-W', '2', '-s', '3000', address)
      return code === 0
    })
  }

  try {
    await t.test('a machine of its own listens for others, and its container runs on', async (t) => {
      await must('a', ...up('a'))
      const refused = await drover('a', 'host', 'token', 'create', 'b')
      t.match(refused.stderr, /say drover up --address/)
      await must('a', 'image', 'build', 'busybox')
      await must('a', 'launch', 'web')
      const before = await container('web')
      await must('a', ...up('a', '--address', lab.host('a').address))
      t.match(await container('web'), { state: 'running', initPid: before.initPid, starts: before.starts })
    })

    await t.test('on another machine: one token, one command', async (t) => {
      const { token } = await must<HostTokenMade>('a', 'host', 'token', 'create', 'b', '--expires', '1h')
      await must('b', ...up('b', '--join', token))
      const hosts = await must<HostView[]>('b', 'host', 'ls')
      t.match(
        hosts.find(({ name }) => name === 'b'),
        { status: 'ready', address: lab.host('b').address },
      )
      const settings = readSettings(dataOf('b'))
      t.ok(settings && isNodeUp(dataOf('b'), settings))
    })

    await t.test('containers of both reach each other, also after live moves, which MACs go along in', async (t) => {
      const mac = '02:00:5e:00:53:01'
      await must('a', 'launch', 'db', '--host', 'b', '--mac', mac)
      await reaches('web', 'db')
      await must('a', 'move', 'web', 'b')
      await reaches('web', 'db')
      await must('a', 'move', 'db')
      await reaches('web', 'db')
      const { stdout } = await drover('a', 'exec', 'db', '--', 'cat', '/sys/class/net/eth0/address')
      t.equal(stdout.trim(), mac)
    })

    await t.test('the machine is emptied and removed, and doesn’t come back by itself', async (t) => {
      t.match((await drover('a', 'host', 'remove', 'b')).stderr, /web is there/)
      await must('a', 'host', 'evacuate', 'b')
      await must('a', 'host', 'remove', 'b')
      const again = await drover('b', ...up('b'))
      t.match(again.stderr, /was removed from the cluster/)
      t.equal((await must<HostView[]>('a', 'host', 'ls')).length, 1)
      for (const name of ['web', 'db']) t.match(await container(name), { state: 'running', starts: 1 })
    })
  } finally {
    await lab.down()
    t.strictSame(await lab.leftovers(), [], 'nothing is left behind')
  }
}
