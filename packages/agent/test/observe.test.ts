// What a host reports of its containers, out of what the engine and the reconciler know.

import type { EngineContainer } from '@drover/engine'
import t from 'tap'
import { UsageMeter } from '../src/capacity.ts'
import { ContainerObserver } from '../src/observe.ts'
import type { StepFailure } from '../src/workers.ts'
import { assignmentFor } from './harness.ts'

const assignment = { ...assignmentFor('c1', `sha256:${'a'.repeat(64)}`), revision: 9 }
const engine: EngineContainer = {
  container: 'c1',
  name: 'one',
  epoch: 1,
  state: 'running',
  initPid: 42,
  startedAtMs: 1000,
  starts: 2,
  exit: null,
  upper: '/upper',
  memoryBytes: 10,
  cpuUsec: 20,
  processes: 3,
}
const failure = (kind: StepFailure['kind']): StepFailure => ({
  kind,
  revision: 9,
  code: 'ENGINE_FAILED',
  message: 'why',
  attempts: 1,
})

t.test('report: a container as the engine has it, with the revision it reflects', async (t) => {
  t.match(
    new ContainerObserver().observe([engine], () => assignment, []),
    [
      {
        container: 'c1',
        epoch: 1,
        state: 'running',
        revision: 9,
        initPid: 42,
        startedAtMs: 1000,
        starts: 2,
        message: null,
      },
    ],
  )
  t.match(
    new ContainerObserver().observe([engine], () => null, []),
    [{ revision: 0 }],
    'none when nobody assigned it',
  )
})

t.test('report: what failed for an earlier assignment is no answer to this one', async (t) => {
  const later = () => ({ ...assignment, revision: 10 })
  t.match(new ContainerObserver().observe([engine], later, [['c1', failure('update')]]), [
    { revision: 10, errorCode: null },
  ])
})

t.test('report: failed steps', async (t) => {
  const of = (container: EngineContainer[], kind: StepFailure['kind']) =>
    new ContainerObserver().observe(container, () => assignment, [['c1', failure(kind)]])
  t.match(of([], 'create'), [{ state: 'failed', message: 'why', errorCode: 'ENGINE_FAILED', epoch: 1, revision: 9 }])
  t.match(of([{ ...engine, state: 'created' }], 'start'), [{ state: 'failed', message: 'why' }])
  t.match(
    of([engine], 'stop'),
    [{ state: 'running', message: 'why', errorCode: 'ENGINE_FAILED' }],
    'it runs, all the same',
  )
  t.same(
    new ContainerObserver().observe([], () => null, [['c1', failure('delete')]]),
    [],
    'what is neither there nor assigned is not reported',
  )
})

t.test('report: how a container ended', async (t) => {
  for (const [exit, message] of [
    [{ reason: 'poweroff', status: 0 }, 'powered off'],
    [{ reason: 'killed', status: 9 }, 'init was killed by signal 9'],
    [{ reason: 'exit', status: 3 }, 'init ended with status 3'],
  ] as const) {
    t.match(
      new ContainerObserver().observe([{ ...engine, state: 'stopped', exit }], () => assignment, []),
      [{ message }],
    )
  }
})

t.test('report: use is the sum over the containers, of processor time between the last two lists', async (t) => {
  const meter = new UsageMeter()
  const both = (cpuUsec: number) => [
    { ...engine, cpuUsec },
    { ...engine, container: 'c2', memoryBytes: 5, processes: 1, cpuUsec },
  ]
  t.match(meter.used(both(0)), { memoryBytes: 15, pids: 4, cpuMilli: 0 })
  meter.listed(both(1_000_000), 10_000)
  t.match(meter.used(both(1_000_000)), { cpuMilli: 0 }, 'one list tells no rate')
  meter.listed(both(2_000_000), 14_000)
  t.match(meter.used(both(2_000_000)), { cpuMilli: 500 })
  t.match(meter.used(both(2_000_000)), { cpuMilli: 500 }, 'however often it is told')
  meter.listed([{ ...engine, container: 'c3', cpuUsec: 9_000_000 }], 18_000)
  t.match(meter.used([]), { cpuMilli: 0 }, 'one that has just come has used nothing yet')
})

t.test('report: what is seen of its memory, and why it stands still', async (t) => {
  const memory = { nearLimit: true, frozenAtLimit: true, oomKills: 0, killed: null }
  t.match(
    new ContainerObserver().observe([{ ...engine, state: 'frozen', memory }], () => assignment, []),
    [{ state: 'frozen', memory, message: /limit of memory/ }],
  )
})
