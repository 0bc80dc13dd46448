// The tour, chapter by chapter. A chapter that throws counts as a failed check, and the tour ends there.

import { existsSync } from 'node:fs'
import { programs } from '@drover/cli/daemons'
import { DroverClient } from '@drover/client'
import { DroverError } from '@drover/protocol'
import { Lab } from '@drover/testkit/lab'
import { seconds } from '../figures.ts'
import type { TourContext, TourFigures } from './context.ts'
import { type Narrator, pathTo } from './narrator.ts'
import type { TourOptions } from './options.ts'
import { residentByKind, tellCost } from './step-cost.ts'
import { evacuate } from './step-evacuate.ts'
import { launchMany } from './step-launch.ts'
import { killLeader } from './step-leader.ts'
import { moveLive } from './step-move.ts'

/** `onLab` is told of the laboratory as soon as there is one, so that whoever interrupts the tour can take it down. */
export async function runTour(
  options: TourOptions,
  narrator: Narrator,
  onLab: (lab: Lab) => void,
): Promise<TourFigures> {
  const figures = newFigures(options)
  const kind = options.engine === 'native' ? 'real' : 'simulated'
  narrator.title('drover', `Three hosts on this machine, ${kind} system containers, moved while they run.`)
  try {
    const lab = await bringUp(options, narrator, figures)
    onLab(lab)
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    const context: TourContext = { lab, client, narrator, options, figures, traveller: 'web-1', home: 'a' }
    Object.assign(context, await launchMany(context))
    await moveLive(context)
    await killLeader(context)
    await evacuate(context)
    await tellCost(context)
    tellHowToGoOn(context)
  } catch (thrown) {
    const error = DroverError.from(thrown)
    narrator.check(false, `the tour could not go on: ${error.message}`)
    if (error.code === 'INTERNAL' && error.cause instanceof Error) narrator.line(error.cause.stack ?? '')
  }
  figures.checks = { passed: narrator.passed, failed: narrator.failed }
  return figures
}

async function bringUp(options: TourOptions, narrator: Narrator, figures: TourFigures): Promise<Lab> {
  const replicated = existsSync(programs.raftAddon)
  narrator.chapter(`Three hosts, ${replicated ? 'three controllers' : 'one controller'}`)
  if (!replicated) narrator.line('The raft addon is not built here, so one controller keeps the log alone.')
  const began = performance.now()
  const lab = await Lab.start({
    engine: options.engine,
    controllers: replicated ? 3 : 1,
    handleSignals: false,
    onProgress: (line) => narrator.line(line),
  })
  const tookMs = performance.now() - began
  figures.start_seconds = Math.round(tookMs / 100) / 10
  figures.rss.idle = residentByKind(lab)
  const code = await narrator.show(lab, ['host', 'ls'])
  narrator.check(code === 0, `a cluster of ${lab.hosts.length} hosts, ${seconds(tookMs)} from nothing`)
  return lab
}

function tellHowToGoOn({ lab, narrator, options, traveller, home }: TourContext): void {
  if (options.once) return
  narrator.chapter('Go on by hand')
  narrator.line('It all stays up until Ctrl-C here. In another terminal:')
  narrator.line()
  for (const line of [
    pathTo(lab),
    'drover ls',
    `drover shell ${traveller}`,
    `drover move ${traveller} ${home}`,
    'drover events --follow',
  ]) {
    narrator.line(`  ${line}`)
  }
  narrator.line()
  narrator.line(`The dashboard: ${lab.endpoints[0]}/  (the secret is in ${lab.directory}/client.json)`)
}

function newFigures(options: TourOptions): TourFigures {
  return {
    engine: options.engine,
    hosts: 3,
    containers: options.containers,
    start_seconds: 0,
    launch_seconds: 0,
    blackout_client_ms: null,
    phases: {},
    leader_killed: null,
    evacuation: null,
    rss: { idle: {}, full: {} },
    engine_bytes_per_container: 0,
    checks: { passed: 0, failed: 0 },
  }
}
