// `npm start`: the tour, then a cluster to play with until Ctrl-C. Whatever ends it, everything is taken down.

import { writeFileSync } from 'node:fs'
import type { Lab } from '@drover/testkit/lab'
import { seconds } from '../figures.ts'
import { Narrator } from './narrator.ts'
import { help, parseOptions, type TourOptions } from './options.ts'
import { runTour } from './tour.ts'

/** As a shell says it of a process that Ctrl-C ended. */
const interruptedExitCode = 130

// A tour that was interrupted is still waiting for something: don't wait for it.
process.exit(await main(process.argv.slice(2)))

async function main(args: string[]): Promise<number> {
  let options: TourOptions
  try {
    options = parseOptions(args)
  } catch (error) {
    process.stderr.write(`npm start: ${(error as Error).message}\n\n${help}\n`)
    return 2
  }
  if (options.help) {
    process.stdout.write(`${help}\n`)
    return 0
  }
  if (options.engine === 'native' && process.getuid?.() !== 0) {
    process.stderr.write('npm start: real containers need root; without it: npm start -- --engine simulated\n')
    return 2
  }
  return await tourToItsEnd(options)
}

async function tourToItsEnd(options: TourOptions): Promise<number> {
  const narrator = new Narrator()
  const interrupt = interruption()
  const began = performance.now()
  let onLab: (lab: Lab) => void = () => {}
  const made = new Promise<Lab>((resolve) => {
    onLab = resolve
  })
  const tour = runTour(options, narrator, onLab)
  const figures = await Promise.race([tour, interrupt.then(() => null)])
  if (figures !== null) {
    if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`)
    const { passed, failed } = figures.checks
    narrator.line()
    narrator.line(`The tour took ${seconds(performance.now() - began)}: ${passed} checks held, ${failed} did not.`)
    if (!options.once && failed === 0) await stayUp(narrator, interrupt)
  } else narrator.silence()
  // A tour that is interrupted while the hosts come up: wait for them, to take down all of them.
  const lab = await Promise.race([made, tour.then(() => null)])
  const clean = lab === null || (await takeDown(lab, narrator))
  if (lab === null && figures === null) {
    narrator.resume()
    narrator.line('Interrupted before the hosts were up; what there was of them is gone.')
  }
  if (figures === null) return interruptedExitCode
  return figures.checks.failed === 0 && clean ? 0 : 1
}

/** Resolves at Ctrl-C. Under npm the signal comes twice, from the terminal and passed on by npm: only the first counts. */
function interruption(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve())
  })
}

async function stayUp(narrator: Narrator, interrupt: Promise<void>): Promise<void> {
  narrator.line('Ctrl-C takes everything down.')
  const keepAlive = setInterval(() => {}, 60_000)
  await interrupt
  clearInterval(keepAlive)
}

async function takeDown(lab: Lab, narrator: Narrator): Promise<boolean> {
  narrator.resume()
  narrator.line()
  narrator.line('Taking everything down …')
  const keepFiles = process.env.DROVER_KEEP === '1'
  await lab.down({ keepFiles })
  if (keepFiles) narrator.line(`DROVER_KEEP: its files stay in ${lab.directory}`)
  const left = lab.leftovers().filter((line) => !(keepFiles && line.startsWith('directory ')))
  return narrator.check(
    left.length === 0,
    'nothing is left: no process, namespace, mount, cgroup, link or file',
    left.join('; '),
  )
}
