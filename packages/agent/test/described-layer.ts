// A layer as a text that two tests can compare.

import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** All that a container could see. */
export function describe(upper: string): string[] {
  return readdirSync(upper, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((path) => {
      const stats = lstatSync(join(upper, path), { bigint: true })
      const content = stats.isFile()
        ? createHash('sha256')
            .update(readFileSync(join(upper, path)))
            .digest('hex')
        : ''
      const link = stats.isSymbolicLink() ? readlinkSync(join(upper, path)) : ''
      const names = stats.isDirectory() ? '' : stats.nlink
      return [path, stats.mode, stats.uid, stats.mtimeNs, names, stats.isFile() ? stats.size : '', link, content].join(
        ' ',
      )
    })
}
