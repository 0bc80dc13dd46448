// What the agent holds of its engine: the picture that lists and events make together.

import type { EngineContainer, EngineState } from '@drover/engine'
import t from 'tap'
import { EngineMirror } from '../src/engine-mirror.ts'

function container(name: string, state: EngineState, more: Partial<EngineContainer> = {}): EngineContainer {
  return {
    container: name,
    name,
    epoch: 1,
    state,
    initPid: null,
    startedAtMs: null,
    starts: 0,
    exit: null,
    upper: '/upper',
    memoryBytes: 0,
    cpuUsec: 0,
    processes: 0,
    ...more,
  }
}

t.test('mirror: a list that was asked for before an answer does not undo it', async (t) => {
  const mirror = new EngineMirror()
  mirror.answer(container('c2', 'running'))
  const mark = mirror.mark()
  mirror.answer(container('c1', 'running'))
  mirror.forget('c2')
  t.same(mirror.replaceAll([container('c1', 'created'), container('c2', 'running')], mark), [])
  t.equal(mirror.get('c1')?.state, 'running')
  t.equal(mirror.get('c2'), null)
  t.same(mirror.replaceAll([container('c1', 'stopped')], mirror.mark()), ['c1'], 'a later one does')
})

t.test('mirror: an event about a container that was just deleted does not bring it back', async (t) => {
  const mirror = new EngineMirror()
  mirror.answer(container('c1', 'running'))
  mirror.forget('c1')
  t.equal(mirror.event(container('c1', 'stopped')), false)
  t.equal(mirror.get('c1'), null)
  mirror.answer(container('c1', 'created'))
  t.equal(mirror.event(container('c1', 'running')), true, 'one that was made anew counts')
})

t.test('mirror: only a change of state, init or epoch is news', async (t) => {
  const mirror = new EngineMirror()
  t.equal(mirror.event(container('c1', 'running', { initPid: 5 })), true)
  t.equal(mirror.event(container('c1', 'running', { initPid: 5, memoryBytes: 7 })), false)
  t.equal(mirror.get('c1')?.memoryBytes, 7, 'but all of it is kept')
  t.equal(mirror.event(container('c1', 'running', { initPid: 6 })), true)
  t.equal(mirror.event(container('c1', 'running', { initPid: 6, epoch: 2 })), true)
})

t.test('mirror: what a list lacks is gone', async (t) => {
  const mirror = new EngineMirror()
  mirror.replaceAll([container('c1', 'running'), container('c2', 'running')], mirror.mark())
  t.same(mirror.replaceAll([container('c2', 'running')], mirror.mark()), ['c1'])
  t.same(
    mirror.all().map((one) => one.container),
    ['c2'],
  )
})
