// `npm start`: the tour, then a cluster to play with until Ctrl-C. Whatever ends it, everything is taken down.

import { writeFileSync } from 'node:fs'
import type { Lab } from '@drover/testkit/lab'
import { seconds } from '../figures.ts'
import { Narrator } from './narrator.ts'
import { help, parseOptions, type TourOptions } from './options.ts'
import { runTour } from './tour.ts'

process.exitCode = await main(process.argv.slice(2))

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
  let lab: Lab | null = null
  let interrupted = false
  const interrupt = new Promise<void>((resolve) => {
    // Under npm the signal comes twice: from the terminal and passed on by npm.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        interrupted = true
        resolve()
      })
    }
  })
  const began = performance.now()
  const tour = runTour(options, narrator, (made) => {
    lab = made
  })
  const figures = await Promise.race([tour, interrupt.then(() => null)])
  if (figures !== null) {
    if (options.json !== null) writeFileSync(options.json, `${JSON.stringify(figures, null, 2)}\n`)
    const { passed, failed } = figures.checks
    narrator.line()
    narrator.line(`The tour took ${seconds(performance.now() - began)}: ${passed} checks held, ${failed} did not.`)
  }
  if (figures !== null && !options.once && lab !== null) {
    narrator.line('Ctrl-C takes everything down.')
    const keepAlive = setInterval(() => {}, 60_000)
    await interrupt
    clearInterval(keepAlive)
  }
  const clean = lab === null || (await takeDown(lab, narrator))
  if (figures === null) return 130
  return narrator.failed === 0 && clean && !(interrupted && options.once) ? 0 : 1
}

async function takeDown(lab: Lab, narrator: Narrator): Promise<boolean> {
  narrator.line()
  narrator.line('Taking everything down …')
  await lab.down({ keepFiles: process.env.DROVER_KEEP === '1' })
  const left = process.env.DROVER_KEEP === '1' ? [] : lab.leftovers()
  return narrator.check(
    left.length === 0,
    'nothing is left: no process, namespace, mount, cgroup, link or file',
    left.join('; '),
  )
}
