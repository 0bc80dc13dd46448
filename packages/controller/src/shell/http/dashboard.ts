// The web page, when it is installed: read into memory at start, so that no request reaches the file system.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface StaticFile {
  type: string
  bytes: Buffer
}

const folder = fileURLToPath(new URL('../../../../dashboard/public', import.meta.url))
/** A page of more than this doesn't belong into a controller's memory. */
const maxBytes = 8 << 20

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
}

/** By URL path; empty when there is no dashboard. */
export function dashboardFiles(directory = folder): Map<string, StaticFile> {
  const files = new Map<string, StaticFile>()
  let total = 0
  for (const name of listFiles(directory)) {
    const path = join(directory, name)
    total += statSync(path).size
    if (total > maxBytes) throw new Error(`read the dashboard in ${directory}: it is over ${maxBytes} bytes`)
    const file = { type: types[extname(name)] ?? 'application/octet-stream', bytes: readFileSync(path) }
    files.set(`/${name}`, file)
    if (name === 'index.html') files.set('/', file)
  }
  return files
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
      statSync(join(directory, name)).isFile(),
    )
  } catch {
    return []
  }
}
