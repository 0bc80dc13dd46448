// How a process with a running member ends: never hanging, never crashing in the raft thread.

import { spawnSync } from 'node:child_process'
import { isRaftAvailable } from '@drover/raft'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { freeMembers } from './raft-cluster.ts'

const addon = isRaftAvailable()
const options = addon.available ? {} : { skip: addon.reason ?? true }

const preamble = `
  import { RaftLog } from '@drover/raft'
  import { RecordingMachine } from './recording-machine.ts'
  const { directory, member } = JSON.parse(process.argv[1])
  const machine = new RecordingMachine()
  const log = new RaftLog({ directory, machine, ...member, members: [member] })
  await log.start()
  const propose = () => log.propose(Buffer.from('entry'), 5000)
`

async function run(t: { teardown: (end: () => void) => unknown }, program: string) {
  const directory = temporaryDirectory(t, 'raft')
  const [member] = await freeMembers(1)
  return spawnSync(
    process.execPath,
    ['--import=tsx', '--input-type=module', '-e', preamble + program, JSON.stringify({ directory, member })],
    { cwd: import.meta.dirname, encoding: 'utf8', timeout: 90_000 },
  )
}

t.test('after close nothing keeps the process alive', options, async (t) => {
  const { status, signal, stderr } = await run(t, 'await propose(); await log.close()')
  t.match({ status, signal }, { status: 0, signal: null }, stderr)
})

t.test('process.exit with a proposal under way ends the raft thread', options, async (t) => {
  const { status, signal, stderr } = await run(t, 'propose().catch(() => {}); process.exit(7)')
  t.match({ status, signal }, { status: 7, signal: null }, stderr)
})

t.test('an apply that throws ends the process with its error', options, async (t) => {
  const { status, signal, stderr } = await run(
    t,
    "machine.apply = () => { throw new Error('diverged') }; await propose()",
  )
  t.match({ status, signal }, { status: 1, signal: null })
  t.match(stderr, /Error: diverged/)
})
