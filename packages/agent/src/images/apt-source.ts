// The Debian mirror that this machine's apt already uses, as one line for mmdebstrap. Reads both forms of apt's sources (one-line
// and deb822) and takes the first entry that has the component main and isn't a security or updates suite.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'

export interface AptSource {
  suite: string
  line: string
}

export function aptSource(configuration = '/etc/apt'): AptSource {
  for (const text of sourceFiles(configuration)) {
    const found = fromOneLine(text) ?? fromDeb822(text)
    if (found) return found
  }
  throw new DroverError(
    'ENGINE_FAILED',
    `build image debian: no Debian mirror in ${configuration}/sources.list or sources.list.d`,
  )
}

function sourceFiles(configuration: string): string[] {
  const directory = join(configuration, 'sources.list.d')
  const paths = [join(configuration, 'sources.list')]
  if (existsSync(directory))
    paths.push(
      ...readdirSync(directory)
        .sort()
        .map((file) => join(directory, file)),
    )
  return paths
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .map((path) => readFileSync(path, 'utf8'))
}

function fromOneLine(text: string): AptSource | null {
  for (const line of text.split('\n')) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$/.exec(line)
    if (match?.[2] && match[3] && match[4]) {
      const source = entry(match[2], match[3], match[4], /signed-by=(\S+)/.exec(match[1] ?? '')?.[1])
      if (source) return source
    }
  }
  return null
}

function fromDeb822(text: string): AptSource | null {
  for (const stanza of text.split(/\n\s*\n/)) {
    const field = (name: string) => new RegExp(`^${name}:\\s*(.+)$`, 'mi').exec(stanza)?.[1]?.trim()
    const types = field('Types') ?? ''
    const uri = field('URIs')?.split(/\s+/)[0]
    const suite = field('Suites')?.split(/\s+/)[0]
    if (!/\bdeb\b/.test(types) || !uri || !suite) continue
    const source = entry(uri, suite, field('Components') ?? '', field('Signed-By'))
    if (source) return source
  }
  return null
}

function entry(uri: string, suite: string, components: string, keyring: string | undefined): AptSource | null {
  if (!/\bmain\b/.test(components) || !/debian\/?$/.test(uri) || /[-/](security|updates|backports)/.test(suite))
    return null
  const options = keyring?.startsWith('/') ? `[signed-by=${keyring}] ` : ''
  return { suite, line: `deb ${options}${uri} ${suite} main` }
}
