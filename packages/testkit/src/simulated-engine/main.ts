// `node simulated-engine/main.js CONFIG.json`: a simulated engine as a daemon, with the native engine's configuration.

import { readFileSync } from 'node:fs'
import { EngineConfig } from '@drover/protocol'
import { SimulatedEngine } from './server.ts'

const file = process.argv[2]
if (!file) {
  process.stderr.write('usage: node main.js CONFIG.json\n')
  process.exit(2)
}
const engine = new SimulatedEngine(readConfig(file))
await engine.start()
process.stderr.write(`simulated engine: listening, ${engine.containers.list().length} containers adopted\n`)
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => void engine.close().then(() => process.exit(0)))
}

function readConfig(path: string): EngineConfig {
  const config = JSON.parse(readFileSync(path, 'utf8')) as { [field: string]: unknown }
  for (const [field, schema] of Object.entries(EngineConfig.properties)) {
    const allowsNull = 'anyOf' in schema
    const value = config[field]
    if (typeof value === 'string' || (allowsNull && value === null)) continue
    process.stderr.write(`simulated engine: ${path}: ${field} must be a string, it is ${JSON.stringify(value)}\n`)
    process.exit(2)
  }
  return config as unknown as EngineConfig
}
