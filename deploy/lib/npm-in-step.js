// Exit 0 when node_modules holds what package-lock.json asks for; else 1, with the first difference on stdout.
// It compares npm's record of the last install, so it takes milliseconds; it doesn't look into the packages.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const root = process.argv[2]
const difference = firstDifference()
if (difference) {
  console.log(difference)
  process.exit(1)
}

function firstDifference() {
  const record = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(record)) return 'node_modules is missing'
  const wanted = packagesOf(join(root, 'package-lock.json'))
  const present = packagesOf(record)
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue
    const installed = present[path]
    if (!installed) {
      // Optional packages are for other platforms, or npm could not install them here.
      if (entry.optional) continue
      return `${path} is not installed`
    }
    if (installed.version !== entry.version) return `${path} is ${installed.version}, not ${entry.version}`
    if (installed.integrity !== entry.integrity) return `${path} has another checksum`
    if (entry.link && !existsSync(join(root, path))) return `${path} is not linked`
  }
  return null
}

function packagesOf(file) {
  return JSON.parse(readFileSync(file, 'utf8')).packages
}
