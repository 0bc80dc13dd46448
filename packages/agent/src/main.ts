// node main.js CONFIG.json: runs one host's agent until SIGTERM or SIGINT. Restarting it touches no container.

import { pino } from 'pino'
import { Agent } from './agent.ts'
import { loadConfig } from './config.ts'
import { tuneHost } from './tune-host.ts'

/** Ending in order takes a few milliseconds; when something hangs, the process still ends. */
const stopDeadlineMs = 5_000

async function main(): Promise<void> {
  const path = process.argv[2]
  if (!path || process.argv.length > 3) {
    process.stderr.write('usage: node main.js CONFIG.json\n')
    process.exit(2)
  }
  const config = loadConfig(path)
  const log = pino({ level: config.logLevel ?? 'info', base: { host: config.host } })
  if (config.tuneHost) {
    const { raised, refused } = tuneHost()
    for (const change of raised) log.info({}, `raised ${change}`)
    for (const change of refused) log.warn({}, `could not raise ${change}`)
  }
  const agent = new Agent(config, log)
  const stop = (signal: string) => {
    log.info({ signal }, 'stopping')
    setTimeout(() => process.exit(1), stopDeadlineMs).unref()
    agent.stop().then(() => process.exit(0))
  }
  // `drover down --stop-containers`: each stop has a deadline of its own.
  process.once('SIGUSR2', () => {
    log.info({}, 'stopping with all containers: the host goes down')
    agent.stop({ hostGoesDown: true }).finally(() => process.exit(0))
  })
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
  await agent.start()
}

main().catch((error: Error) => {
  process.stderr.write(`agent: ${error.message}\n`)
  process.exit(1)
})
