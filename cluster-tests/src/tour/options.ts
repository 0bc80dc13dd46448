// The tour's command line.

import { parseArgs } from 'node:util'
import type { EngineKind } from '@drover/cli/daemons'

export interface TourOptions {
  once: boolean
  json: string | null
  engine: EngineKind
  containers: number
  help: boolean
}

export const help = `npm start -- [options]

Brings up three hosts on this machine, shows what drover is for on real containers, and leaves
them running until Ctrl-C, which takes everything down.

  --once               end after the tour and take everything down; exit code 0 only if every step held
  --json FILE          write the tour's figures to FILE
  --engine simulated   pretended containers, without root
  --containers N       how many to launch (30)
  --help               this`

/** Throws a TypeError that names the argument when it is not understood. */
export function parseOptions(args: string[]): TourOptions {
  const { values } = parseArgs({
    args,
    options: {
      once: { type: 'boolean', default: false },
      json: { type: 'string' },
      engine: { type: 'string', default: 'native' },
      containers: { type: 'string', default: '30' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.engine !== 'native' && values.engine !== 'simulated') {
    throw new TypeError(`--engine ${values.engine}: must be native or simulated`)
  }
  const containers = Number(values.containers)
  if (!Number.isInteger(containers) || containers < 2 || containers > 60) {
    throw new TypeError(`--containers ${values.containers}: must be a whole number from 2 to 60`)
  }
  return { once: values.once, json: values.json ?? null, engine: values.engine, containers, help: values.help }
}
