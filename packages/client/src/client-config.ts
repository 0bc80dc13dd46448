// Where a client finds the cluster: DROVER_CONFIG, else the user's own file, else the machine's. The first file that exists
// counts; a broken one is an error and never skipped, since falling through could reach another cluster.

import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { ClientConfig } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'

/** In the order in which they are tried. */
export function clientConfigPaths(environment: NodeJS.ProcessEnv = process.env): string[] {
  if (environment.DROVER_CONFIG) return [environment.DROVER_CONFIG]
  const home = environment.HOME ?? homedir()
  const userConfig = environment.XDG_CONFIG_HOME ?? join(home, '.config')
  return [join(userConfig, 'drover', 'client.json'), '/etc/drover/client.json']
}

export async function loadClientConfig(environment: NodeJS.ProcessEnv = process.env): Promise<ClientConfig> {
  const paths = clientConfigPaths(environment)
  for (const path of paths) {
    const text = await readIfExists(path)
    if (text !== null) return parseClientConfig(path, text)
  }
  throw new DroverError('NOT_CONFIGURED', `find the cluster: none of ${paths.join(', ')} exists`, {
    context: { paths },
  })
}

async function readIfExists(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    throw new DroverError('NOT_CONFIGURED', `read client configuration ${path}: ${(cause as Error).message}`, { cause })
  }
}

function parseClientConfig(path: string, text: string): ClientConfig {
  const broken = (why: string, cause?: unknown) =>
    new DroverError('NOT_CONFIGURED', `read client configuration ${path}: ${why}`, { cause, context: { path } })
  let config: Partial<ClientConfig> | null
  try {
    config = JSON.parse(text)
  } catch {
    // The parser's message quotes the text, which holds the secret.
    throw broken('it is not JSON')
  }
  const endpoints = config?.endpoints
  if (!Array.isArray(endpoints) || endpoints.length === 0) throw broken('endpoints must be a list of at least one URL')
  for (const endpoint of endpoints) {
    if (!isHttpUrl(endpoint)) throw broken(`endpoint ${JSON.stringify(endpoint)} is not an http or https URL`)
  }
  if (typeof config?.secret !== 'string') throw broken('secret must be a string')
  return { endpoints, secret: config.secret }
}

function isHttpUrl(value: unknown): boolean {
  return typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)
}
