// What a container may hold and still move: every kernel object of native/migration-probes goes around the three hosts and is checked
// from inside and outside after each move; those that can't be carried are refused and live on undisturbed. The long form, with
// real workloads, is `npm run matrix`.

import type { Preflight } from '@drover/protocol'
import t from 'tap'
import { runMatrix } from '../src/matrix/matrix.ts'
import { objectRows, probeProgram, probesBuilt } from '../src/matrix/objects.ts'
import type { Row } from '../src/matrix/row.ts'
import { workloadRows } from '../src/matrix/workloads/workload-rows.ts'
import { engineOfStories, tell } from '../src/stories.ts'

/** Workloads of the large image are the command's. */
const noLayer = { directory: '', missing: 'made for the whole matrix only' }

const skip =
  engineOfStories === 'simulated'
    ? 'simulated containers have no kernel objects'
    : probesBuilt()
      ? null
      : 'the probes are not built: run deploy/bootstrap'

if (skip !== null) t.pass('left out', { skip })
else {
  await tell(t, async (story) => {
    const tried = (rows: Row[], rounds: number) =>
      runMatrix(story.lab, story.client, rows, { rounds, alone: false, layer: noLayer, onProgress: () => {} })
    const rows = objectRows()

    await t.test('preflight: says without disturbing what a move would say', async (t) => {
      await story.must('launch', 'looked-at')
      t.match(await story.must<Preflight>('preflight', 'looked-at'), { live: true, findings: [], fallback: '' })
      await story.must('file', 'push', probeProgram, 'looked-at:/usr/bin/probe', '--mode', '755')
      await story.lab.cli(['exec', 'looked-at', '--', 'probe', 'start', 'mqueue', 'tcp4', 'keyring'])
      const asked = await story.lab.cli(['preflight', 'looked-at', '--json'])
      const warnings = [{ message: /^user 0 has a key .*\(user probe\), which would not come along$/ }]
      const findings = [{ reason: 'MESSAGE_QUEUE', process: 'mqueue' }]
      t.match(asked, { code: 1, json: { live: false, findings, warnings } })
      const info = await story.lab.cli(['info', 'looked-at'])
      t.match(
        info.stdout,
        /live move +can’t move live: mqueue \(\d+\) has the POSIX message queue \/probe open; move it cold/,
      )
      await story.must('delete', 'looked-at')
    })

    await t.test('objects that move: nothing inside or outside notices, twice around', async (t) => {
      for (const { name, what, good, reason } of await tried(
        rows.filter(({ expected }) => expected.kind !== 'refused'),
        2,
      ))
        t.ok(good, `${name}: ${what}`, { reason })
    })

    await t.test(
      'a system that moves: init, what it starts again, and connections from outside, once around',
      async (t) => {
        for (const { name, what, good, outcome, reason } of await tried(
          workloadRows().filter(({ name }) => name === 'busybox'),
          1,
        ))
          t.ok(good && outcome === 'moves', `${name}: ${what}`, { reason })
      },
    )

    await t.test('objects that can’t be carried: refused, and undisturbed', async (t) => {
      for (const { name, what, good, reason } of await tried(
        rows.filter(({ expected }) => expected.kind === 'refused'),
        1,
      ))
        t.ok(good, `${name}: ${what}`, { reason })
    })
  })
}
