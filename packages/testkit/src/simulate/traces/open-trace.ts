// Which kind of trace a file is, by its first line, and the trace in it.

import { DroverError } from '@drover/protocol'
import type { Trace } from '../trace.ts'
import { readAzure } from './azure.ts'
import { linesOf } from './file.ts'
import { generatedTrace } from './generated.ts'
import { openbHeader, readOpenb } from './openb.ts'
import { planetlabHeader, readPlanetlab } from './planetlab.ts'

export interface TraceOptions {
  /** Null: one is generated. */
  path: string | null
  /** Only so much of it; null: all of it, or one day of one that can be made as long as wanted. */
  days: number | null
  seed: number
  /** openb: nobody leaves. */
  stay: boolean
}

export function openTrace(options: TraceOptions): Trace {
  const { path, days, seed } = options
  if (path === null) return generatedTrace({ days: days ?? 3, seed })
  let trace: Trace
  try {
    trace = read(path, options)
  } catch (error) {
    const { message } = error as Error
    throw new DroverError('BAD_REQUEST', `read the trace ${path}: ${message}`, { cause: error })
  }
  return days === null ? trace : shortened(trace, days)
}

function read(path: string, { days, seed, stay }: TraceOptions): Trace {
  const first = linesOf(path)[0] ?? ''
  if (first.startsWith(openbHeader)) return readOpenb(path, stay)
  if (first.startsWith(planetlabHeader)) return readPlanetlab(path, Math.ceil(days ?? 1), seed)
  if (/^\d+ ([a-z|],)*/.test(first) && first.includes('|')) return readAzure(path, seed)
  throw new Error('it is none of: openb pods (csv), Azure flavours, PlanetLab loads (csv)')
}

function shortened(trace: Trace, days: number): Trace {
  const spanS = Math.min(trace.spanS, days * 86_400)
  return { ...trace, spanS, workloads: trace.workloads.filter(({ arriveS }) => arriveS <= spanS) }
}
