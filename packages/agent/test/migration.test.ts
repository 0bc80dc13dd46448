// Two agents with simulated engines and a leader played by the test: every step of both sides, and every failure before the commit.

import { once } from 'node:events'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { MigrationPhase } from '@drover/protocol'
import t from 'tap'
import type { FaultPoint } from '../src/fault-points.ts'
import { checkpointRootFor } from '../src/migration/checkpoint-directory.ts'
import { addTinyImage, assignmentFor, TestCluster, type TestHost, withoutNats } from './harness.ts'
import { type Move, operation, runningOnA, type Test, until, upToPrecopied, upToRestored } from './moving.ts'

async function abortedCleanly(test: Test, move: Move): Promise<void> {
  const { cluster, a, b } = move
  move.phase('aborted')
  await until(move, 'both cleaned', ['a', 'cleaned'], ['b', 'cleaned'])
  test.equal(a.engineState('c1'), 'running', 'the source runs on')
  test.equal(b.engineState('c1'), undefined, 'the destination has nothing of it')
  for (const host of [a, b]) test.same(checkpoints(host), [], `no checkpoint is left on ${host.name}`)
  test.equal(cluster.report('a')?.containers[0]?.starts, 1, 'it was not restarted')
}

/** A source that need not be told to go on, once it is ready; the destination is held at `point` until it is let go. */
async function untoldWithBHeld(test: Test, point: FaultPoint) {
  const move = await runningOnA(test)
  const armed = join(move.b.faultDirectory, point)
  writeFileSync(armed, '')
  move.phase('preparing', { precopiesAtOnce: true })
  return { move, isHeld: () => existsSync(`${armed}.reached`), letGo: () => rmSync(`${armed}.reached`) }
}

function checkpoints(host: TestHost): string[] {
  const root = checkpointRootFor(host.config.dataDirectory)
  return existsSync(root) ? readdirSync(root) : []
}

t.test('agent migration', { skip: withoutNats }, async (t) => {
  await t.test(
    'live: the container goes over with its memory and its disk, and the source keeps nothing',
    async (t) => {
      const move = await runningOnA(t)
      const { cluster, a, b } = move
      const upper = a.engine.containers.upper('c1')
      mkdirSync(join(upper, 'var'), { recursive: true })
      writeFileSync(join(upper, 'var', 'early'), 'written before the pre-copy')
      await upToPrecopied(move)
      writeFileSync(join(upper, 'var', 'late'), 'written after the pre-copy')
      const pulse = a.engine.containers.pulse('c1')
      move.phase('switching')
      await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
      t.equal(a.engineState('c1'), 'checkpointed')
      t.equal(b.engineState('c1'), 'restored', 'it stays frozen until the outcome is known')
      move.phase('committed')
      await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
      t.equal(b.engineState('c1'), 'running')
      t.equal(a.engineState('c1'), undefined)
      const there = b.engine.containers.upper('c1')
      t.equal(readFileSync(join(there, 'var', 'early'), 'utf8'), 'written before the pre-copy')
      t.equal(readFileSync(join(there, 'var', 'late'), 'utf8'), 'written after the pre-copy')
      t.ok(b.engine.containers.pulse('c1') >= pulse, 'the counter in its memory went on')
      const observed = cluster.report('b')?.containers[0]
      t.match(observed, { epoch: 2, starts: 1, state: 'running' })
      const figures = { ...cluster.step('a', operation)?.figures, ...cluster.step('b', operation)?.figures }
      for (const key of ['precopy_ms', 'memory_bytes', 'transfer_ms', 'dump_ms', 'blackout_ms']) {
        t.type(figures[key], 'number', `figure ${key}`)
      }
      for (const host of [a, b]) t.same(checkpoints(host), [], `no checkpoint is left on ${host.name}`)
    },
  )

  await t.test('cold: it is stopped, its disk goes over, and it starts on the destination', async (t) => {
    const move = await runningOnA(t, 'cold')
    const { a, b } = move
    writeFileSync(join(a.engine.containers.upper('c1'), 'file'), 'content')
    await upToRestored(move)
    t.equal(a.engineState('c1'), 'stopped')
    t.equal(b.engineState('c1'), 'created')
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    t.equal(b.engineState('c1'), 'running')
    t.equal(readFileSync(join(b.engine.containers.upper('c1'), 'file'), 'utf8'), 'content')
  })

  await t.test('a small layer that its engine does not pack goes by tar, its sockets beside', async (t) => {
    const move = await runningOnA(t)
    const { a, b } = move
    const upper = a.engine.containers.upper('c1')
    writeFileSync(join(upper, 'file'), 'content')
    const server = createServer().listen(join(upper, 'socket'))
    t.teardown(() => server.close())
    await once(server, 'listening')
    await upToRestored(move)
    const there = b.engine.containers.upper('c1')
    t.equal(readFileSync(join(there, 'file'), 'utf8'), 'content')
    t.ok(lstatSync(join(there, 'socket')).isSocket())
  })

  await t.test('frozen: it is not woken on the way, and stays frozen at the other end', async (t) => {
    const move = await runningOnA(t, 'frozen', 'frozen')
    const { a, b } = move
    const pulse = a.engine.containers.pulse('c1')
    await upToRestored(move)
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    t.equal(b.engineState('c1'), 'frozen')
    t.equal(b.engine.containers.pulse('c1'), pulse, 'the counter in its memory stood still')
    t.equal(move.cluster.step('b', operation)?.figures.blackout_ms, undefined, 'what stood still has no blackout')
  })

  await t.test('frozen, aborted after the dump: it stays frozen where it was', async (t) => {
    const move = await runningOnA(t, 'frozen', 'frozen')
    await upToRestored(move)
    move.phase('aborted')
    await until(move, 'both cleaned', ['a', 'cleaned'], ['b', 'cleaned'])
    t.equal(move.a.engineState('c1'), 'frozen')
    t.equal(move.b.engineState('c1'), undefined)
  })

  await t.test(
    'frozen, of one that runs: it stands still from the beginning, and goes on at the other end',
    async (t) => {
      const move = await runningOnA(t, 'frozen')
      await upToPrecopied(move)
      t.equal(move.a.engineState('c1'), 'frozen')
      move.phase('switching')
      await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
      move.phase('committed')
      await until(move, 'released', ['b', 'released'])
      t.equal(move.b.engineState('c1'), 'running')
    },
  )

  await t.test('cold, aborted after the stop: the source starts it again', async (t) => {
    const move = await runningOnA(t, 'cold')
    await upToRestored(move)
    move.phase('aborted')
    await until(move, 'both cleaned', ['a', 'cleaned'], ['b', 'cleaned'])
    t.equal(move.a.engineState('c1'), 'running')
    t.equal(move.b.engineState('c1'), undefined)
  })

  await t.test('aborted after the restore: the source thaws, the destination removes its copy', async (t) => {
    const move = await runningOnA(t)
    await upToRestored(move)
    await abortedCleanly(t, move)
  })

  await t.test('aborted after the pre-copy: the source never stopped', async (t) => {
    const move = await runningOnA(t)
    await upToPrecopied(move)
    await abortedCleanly(t, move)
  })

  await t.test('the dump fails: the source says so and runs on', async (t) => {
    const move = await runningOnA(t)
    await upToPrecopied(move)
    move.a.engine.faults.add({
      method: 'checkpoint',
      container: 'c1',
      code: 'CHECKPOINT_FAILED',
      message: 'criu said no',
      times: 1,
    })
    move.phase('switching')
    await until(move, 'both failed', ['a', 'failed'], ['b', 'failed'])
    for (const host of ['a', 'b']) {
      const said = { code: 'CHECKPOINT_FAILED', message: 'source a: criu said no' }
      t.match(move.cluster.step(host, operation)?.error, said, `${host} has the source’s own words`)
    }
    await abortedCleanly(t, move)
  })

  await t.test('a source that need not be told to goes on to pre-copy when both sides are ready', async (t) => {
    const move = await runningOnA(t)
    move.phase('preparing', { precopiesAtOnce: true })
    await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
    move.phase('switching', { precopiesAtOnce: true })
    await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    t.equal(move.b.engineState('c1'), 'running')
  })

  await t.test(
    'a destination that is not ready by then is waited for, and the source is told when to begin',
    async (t) => {
      const { move, isHeld, letGo } = await untoldWithBHeld(t, 'destination.preparing')
      await until(move, 'the source says that it is ready', ['a', 'prepared'])
      t.ok(isHeld(), 'the destination isn’t')
      letGo()
      await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
      move.phase('precopying', { precopiesAtOnce: true })
      await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
      await abortedCleanly(t, move)
    },
  )

  await t.test('a pre-copy that nobody asked for and that lasts is told of', async (t) => {
    const { move, isHeld, letGo } = await untoldWithBHeld(t, 'destination.disk-receiving')
    await until(move, 'the source says how far it is', ['a', 'prepared'])
    move.phase('precopying', { precopiesAtOnce: true })
    await move.cluster.until('it is held', isHeld)
    letGo()
    await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
    await abortedCleanly(t, move)
  })

  await t.test(
    'the destination restarts in a pre-copy that nobody asked for: the move fails, and it runs on',
    async (t) => {
      const { move, isHeld, letGo } = await untoldWithBHeld(t, 'destination.disk-receiving')
      await move.cluster.until('it is held', isHeld)
      await move.b.agent.stop()
      letGo()
      await until(move, 'the source failed', ['a', 'failed'])
      await move.b.startAgent()
      await abortedCleanly(t, move)
    },
  )

  await t.test('the restore fails: the destination says so and the source thaws', async (t) => {
    const move = await runningOnA(t)
    await upToPrecopied(move)
    move.b.engine.faults.add({
      method: 'restore',
      container: 'c1',
      code: 'RESTORE_FAILED',
      message: 'criu said no',
      times: 1,
    })
    move.phase('switching')
    await until(move, 'the destination failed', ['b', 'failed'])
    t.match(move.cluster.step('b', operation)?.error, { code: 'RESTORE_FAILED' })
    await abortedCleanly(t, move)
  })

  await t.test('the destination can not prepare: it fails before anything was copied', async (t) => {
    const move = await runningOnA(t)
    move.phase('preparing')
    await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
    move.b.engine.faults.add({
      method: 'prepareRestore',
      container: 'c1',
      code: 'ENGINE_FAILED',
      message: 'no mount',
      times: 1,
    })
    move.phase('precopying')
    await until(move, 'both failed', ['a', 'failed'], ['b', 'failed'])
    t.match(move.cluster.step('a', operation)?.error, { message: 'no mount' }, 'the source learns the reason')
    await abortedCleanly(t, move)
  })

  await t.test(
    'the source agent restarts after the dump: it reports failed, holds the container frozen, and thaws on abort',
    async (t) => {
      const move = await runningOnA(t)
      await upToRestored(move)
      await move.a.agent.stop()
      await move.a.startAgent()
      await until(move, 'the source gave up', ['a', 'failed'])
      t.equal(move.a.engineState('c1'), 'checkpointed', 'it does not guess')
      // The destination is restored and stays so: a commit would still be right.
      t.equal(move.b.engineState('c1'), 'restored')
      await abortedCleanly(t, move)
    },
  )

  await t.test(
    'the destination agent restarts after the restore: it reports restored again and releases on commit',
    async (t) => {
      const move = await runningOnA(t)
      await upToRestored(move)
      await move.b.agent.stop()
      await move.b.startAgent()
      await until(move, 'restored again', ['b', 'restored'])
      move.phase('committed')
      await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
      t.equal(move.b.engineState('c1'), 'running')
      t.equal(move.a.engineState('c1'), undefined)
    },
  )

  await t.test('while the dump ends it is restored, which counts only when the dump has succeeded', async (t) => {
    const move = await runningOnA(t)
    const { cluster, a, b } = move
    await upToPrecopied(move)
    const held = join(a.faultDirectory, 'source.frozen')
    writeFileSync(held, '')
    move.phase('switching')
    await cluster.until('restored early', () => b.engineState('c1') === 'restored' && existsSync(`${held}.reached`))
    const sequence = cluster.report('b')?.sequence ?? 0
    await cluster.until('b reported again', () => (cluster.report('b')?.sequence ?? 0) > sequence + 1)
    t.equal(cluster.step('b', operation)?.step, 'precopied', 'nobody is told yet')
    rmSync(`${held}.reached`)
    await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
    move.phase('committed')
    await until(move, 'released and cleaned', ['a', 'cleaned'], ['b', 'released'])
    t.equal(b.engineState('c1'), 'running')
  })

  for (const restarted of ['a', 'b'] as const) {
    await t.test(`the agent of ${restarted} restarts while the dump ends: what was restored is given up`, async (t) => {
      const move = await runningOnA(t)
      const { cluster, a, b } = move
      await upToPrecopied(move)
      const held = join(a.faultDirectory, 'source.frozen')
      writeFileSync(held, '')
      move.phase('switching')
      await cluster.until('restored early', () => b.engineState('c1') === 'restored' && existsSync(`${held}.reached`))
      await move[restarted].agent.stop()
      await move[restarted].startAgent()
      rmSync(`${held}.reached`, { force: true })
      await until(move, 'both failed', ['a', 'failed'], ['b', 'failed'])
      await abortedCleanly(t, move)
    })
  }

  await t.test('the destination agent restarts during the pre-copy: both sides fail', async (t) => {
    const move = await runningOnA(t)
    await upToPrecopied(move)
    await move.b.agent.stop()
    await until(move, 'the source lost the stream', ['a', 'failed'])
    await move.b.startAgent()
    await until(move, 'the destination gave up', ['b', 'failed'])
    await abortedCleanly(t, move)
  })

  await t.test('a late assignment from before the commit does not thaw or release anything', async (t) => {
    const move = await runningOnA(t)
    await upToRestored(move)
    const { cluster } = move
    const stale = { ...assignmentFor('c1', `sha256:${'0'.repeat(64)}`), revision: 1 }
    cluster.publish('a', { term: 1, index: 1, complete: false, assignments: [stale], imageTasks: [] })
    move.phase('switching')
    const sequence = cluster.report('a')?.sequence ?? 0
    await cluster.until('a reported again', () => (cluster.report('a')?.sequence ?? 0) > sequence + 1)
    t.equal(move.a.engineState('c1'), 'checkpointed')
    await abortedCleanly(t, move)
  })

  await t.test('there and back: ten hops lose neither memory nor disk, and the image goes over once', async (t) => {
    const cluster = await TestCluster.start(t)
    const image = await addTinyImage(join(cluster.directory, 'a', 'agent'))
    const hosts = { a: await cluster.addHost('a'), b: await cluster.addHost('b') }
    const base = assignmentFor('c1', image, { imageSources: [cluster.peer('a')] })
    cluster.assign('a', base)
    await cluster.until('c1 runs on a', () => cluster.state('a', 'c1') === 'running')
    let pulse = 0
    for (let hop = 1; hop <= 10; hop++) {
      const [from, to] = hop % 2 === 1 ? (['a', 'b'] as const) : (['b', 'a'] as const)
      const id = `hop-${hop}`
      // Afterwards nobody is named who could send it.
      const imageSources = hop === 1 ? base.imageSources : []
      const assignBoth = (phase: MigrationPhase) => {
        const migration = {
          operation: id,
          phase,
          mode: 'live' as const,
          source: cluster.peer(from),
          destination: cluster.peer(to),
        }
        cluster.assign(to, { ...base, imageSources, role: 'destination', epoch: hop + 1, migration })
        cluster.assign(from, { ...base, role: 'source', epoch: hop, migration })
      }
      const both = (phase: MigrationPhase, source: string, destination: string) => {
        assignBoth(phase)
        return cluster.until(
          `${id} ${phase}`,
          () => cluster.step(from, id)?.step === source && cluster.step(to, id)?.step === destination,
        )
      }
      await both('preparing', 'prepared', 'prepared')
      await both('precopying', 'precopied', 'precopied')
      await both('switching', 'switched', 'restored')
      await both('committed', 'cleaned', 'released')
      writeFileSync(join(hosts[to].engine.containers.upper('c1'), id), id)
      t.ok(hosts[to].engine.containers.pulse('c1') >= pulse)
      pulse = hosts[to].engine.containers.pulse('c1')
    }
    t.same(readdirSync(hosts.a.engine.containers.upper('c1')).filter((name) => name.startsWith('hop-')).length, 10)
    t.equal(hosts.b.engineState('c1'), undefined)
  })
})
