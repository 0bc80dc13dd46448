// A container on its way between two agents with simulated engines, led by the test.

import { symlinkSync } from 'node:fs'
import { join } from 'node:path'
import type { Assignment, MigrationMode, MigrationPhase, Peer } from '@drover/protocol'
import type t from 'tap'
import { addTinyImage, assignmentFor, TestCluster, type TestHost } from './harness.ts'

export interface Move {
  operation: string
  cluster: TestCluster
  a: TestHost
  b: TestHost
  phase(phase: MigrationPhase, more?: { precopiesAtOnce?: true; destination?: Peer }): void
}

export interface FirstMove extends Move {
  /** Another one, of another container, which is made on a first. */
  next(container: string): Promise<Move>
}

export const operation = 'op-1'

/** Container c1 runs on a; b has not even the image, and keeps what it gets at `place`, if one is given. */
export async function runningOnA(
  test: Test,
  mode: MigrationMode = 'live',
  desired: Assignment['desired'] = 'running',
  place?: string,
): Promise<FirstMove> {
  const cluster = await TestCluster.start(test)
  if (place) symlinkSync(place, join(cluster.directory, 'b'))
  const image = await addTinyImage(join(cluster.directory, 'a', 'agent'))
  const a = await cluster.addHost('a')
  const b = await cluster.addHost('b')
  const moveOf = async (container: string, id: string): Promise<Move> => {
    const base = { ...assignmentFor(container, image), desired, imageSources: [cluster.peer('a')] }
    cluster.assign('a', base)
    await cluster.until(`${container} is ${desired} on a`, () => cluster.state('a', container) === desired)
    const phase: Move['phase'] = (name, more = undefined) => {
      const peers = { source: cluster.peer('a'), destination: cluster.peer('b') }
      const migration = { operation: id, phase: name, mode, ...peers, ...more }
      const sides: [string, Omit<Assignment, 'revision'>][] = [
        ['b', { ...base, role: 'destination', epoch: 2, migration }],
        ['a', { ...base, role: 'source', migration }],
      ]
      for (const [host, assignment] of sides) cluster.assign(host, assignment)
    }
    return { operation: id, cluster, a, b, phase }
  }
  return { ...(await moveOf('c1', operation)), next: (container) => moveOf(container, `op-${container}`) }
}

export type Test = Pick<typeof t, 'teardown' | 'equal' | 'same'>

export async function until(move: Move, name: string, ...steps: [host: 'a' | 'b', step: string][]): Promise<void> {
  await move.cluster.until(name, () =>
    steps.every(([host, step]) => move.cluster.step(host, move.operation)?.step === step),
  )
}

export async function upToPrecopied(move: Move): Promise<void> {
  move.phase('preparing')
  await until(move, 'both prepared', ['a', 'prepared'], ['b', 'prepared'])
  move.phase('precopying')
  await until(move, 'both precopied', ['a', 'precopied'], ['b', 'precopied'])
}

export async function upToRestored(move: Move): Promise<void> {
  await upToPrecopied(move)
  move.phase('switching')
  await until(move, 'switched and restored', ['a', 'switched'], ['b', 'restored'])
}
