// A file of the repository as the rules see it, and what all rules answer: violations that say which rule, where and why.

import { execFileSync } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

export interface SourceFile {
  /** Relative to the root of the repository. */
  path: string
  text: string
}

export interface Violation {
  rule: string
  path: string
  /** What was found, and why it isn't allowed. */
  message: string
}

export function showViolation({ rule, path, message }: Violation): string {
  return `${rule}: ${path}: ${message}`
}

/** A file over this is data. */
const maxTextBytes = 2 << 20

/** Every text file that git tracks or would track. */
export function repositoryFiles(root: string): SourceFile[] {
  const list = execFileSync(
    'git',
    ['-c', `safe.directory=${root}`, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root, maxBuffer: 64 << 20 },
  )
  const files: SourceFile[] = []
  for (const path of list.toString().split('\0')) {
    if (path === '') continue
    const status = statSync(join(root, path), { throwIfNoEntry: false })
    if (!status?.isFile() || status.size > maxTextBytes) continue
    const bytes = readFileSync(join(root, path))
    if (!bytes.includes(0)) files.push({ path, text: bytes.toString() })
  }
  return files
}

/** TypeScript without its comments, line for line. */
export function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' ')).replace(/^(\s*)\/\/.*$/gm, '$1')
}
