// Live moves of containers whose security is not the usual one: it is what it was afterwards, for init and for new commands.

import { readFileSync } from 'node:fs'
import t from 'tap'
import type { EngineContainer } from '../src/index.ts'
import { reasonToSkip } from './engine-program.ts'
import { checkCount, chooseCriu, confinement, MigrationStage } from './migration-stage.ts'
import type { TestHost } from './native-hosts.ts'

async function run(host: TestHost, container: string, script: string): Promise<string> {
  let output = ''
  const take = (data: Uint8Array) => {
    output += Buffer.from(data)
  }
  const session = await host.client.exec(
    { container, command: ['sh', '-c', script], environment: {}, directory: null, user: null, terminal: null },
    { onStdout: take, onStderr: take },
  )
  session.end()
  await session.exit
  return output.trim()
}

/** Types and places of its mounts, in order. */
const mounts = ({ initPid }: EngineContainer) =>
  readFileSync(`/proc/${initPid}/mountinfo`, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const words = line.split(' ')
      return `${words[4]} ${words[5]} ${words[words.indexOf('-') + 1]}`
    })
    .sort()

t.test('live moves and security', { skip: reasonToSkip, timeout: 110_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage

  for (const [name, security] of [
    ['other capabilities', { addCapabilities: ['SYS_TIME'], dropCapabilities: ['NET_RAW', 'MKNOD'] }],
    ['nesting', { nesting: true }],
    ['privileged', { privileged: true }],
  ] as const) {
    await t.test(`${name}: there and back`, async (t) => {
      const launched = await stage.launch(a, { security: structuredClone(security) as object })
      const { spec, container, stream } = launched
      const before = { confinement: confinement(container), mounts: mounts(container) }
      for (const [from, to] of [
        [a, b],
        [b, a],
      ] as const) {
        await stream.more(5)
        await stage.moveUntilRestored(from, to, spec)
        const { container: moved } = await stage.finish(from, to, spec)
        t.same({ confinement: confinement(moved), mounts: mounts(moved) }, before, 'all is as it was')
        const [line] = before.confinement.filter((each) => each.startsWith('CapBnd'))
        t.match(await run(to, spec.container, 'grep CapBnd /proc/self/status'), line as string, 'for new commands, too')
      }
      if (name === 'nesting')
        t.equal(
          await run(a, spec.container, 'busybox unshare -U -r -m -p -f mount -t proc none /srv && echo open'),
          'open',
        )
      await stream.more(5)
      checkCount(t, stream)
      await stage.remove(a, launched)
    })
  }
})
