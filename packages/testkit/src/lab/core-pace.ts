// How fast the processors are while something is measured: native/lab-tools/core-pace.c runs beside it. On a virtual machine others on the
// same cores can slow everything down by half, which /proc/stat doesn't tell: two runs can be compared by what the same loop took in each.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { DroverError } from '@drover/protocol'

export const corePaceProgram = fileURLToPath(new URL('../../../../native/lab-tools/build/core-pace', import.meta.url))
const endDeadlineMs = 10_000

export interface CorePace {
  /** Processor time of one round, microseconds: the mean of all, and the least of all. */
  core_loop_us: number
  core_loop_us_least: number
}

/** Does `work` and tells how fast the processors were meanwhile. Throws what `work` throws, and INTERNAL when the program says nothing. */
export async function withCorePace<Result>(work: () => Promise<Result>): Promise<{ result: Result; pace: CorePace }> {
  const child = spawn(corePaceProgram, [], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const said = text(child.stdout)
  // They are waited for below; until then nobody would hear them fail.
  ended.catch(() => {})
  said.catch(() => {})
  child.stdin.on('error', () => {})
  try {
    const result = await work()
    child.stdin.end()
    const late = setTimeout(() => child.kill('SIGKILL'), endDeadlineMs)
    await ended.finally(() => clearTimeout(late))
    return { result, pace: paceOf(await said) }
  } catch (thrown) {
    child.kill('SIGKILL')
    throw thrown
  }
}

function paceOf(said: string): CorePace {
  try {
    const { mean_us: mean, least_us: least } = JSON.parse(said) as { mean_us: number; least_us: number }
    return { core_loop_us: mean, core_loop_us_least: least }
  } catch (cause) {
    throw new DroverError('INTERNAL', `run ${corePaceProgram}: it said ${JSON.stringify(said)}`, { cause })
  }
}
