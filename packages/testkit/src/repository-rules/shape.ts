// What a file may look like: its size, its name, its first lines, and words that belong to one machine only.

import type { SourceFile, Violation } from './source-file.ts'

/** Nobody reads beyond this. */
export const hardLineLimit = 800
/** Beyond this a file needs a reason. */
export const softLineLimit = 400

const code = /\.(ts|js|mjs|cc|c|h|sh|css)$/

/** `excused`: path → why the file is over the soft limit. An excuse for a file that doesn't need one is a violation too. */
export function sizeViolations(files: readonly SourceFile[], excused: { [path: string]: string }): Violation[] {
  const rule = 'file size'
  const long = new Set<string>()
  const violations = files.flatMap(({ path, text }): Violation[] => {
    const lines = text.split('\n').length - 1
    if (!code.test(path) || lines <= softLineLimit) return []
    long.add(path)
    if (lines > hardLineLimit)
      return [{ rule, path, message: `${lines} lines; the limit is ${hardLineLimit}: split it` }]
    if (Object.hasOwn(excused, path)) return []
    return [{ rule, path, message: `${lines} lines; over ${softLineLimit} it needs a split, or an excuse in the test` }]
  })
  const idle = Object.keys(excused).filter((path) => !long.has(path))
  return [...violations, ...idle.map((path) => ({ rule, path, message: 'is excused, but does not need it any more' }))]
}

const grabBags = new Set(['utils', 'util', 'helpers', 'helper', 'misc', 'common'])

export function nameViolations(files: readonly SourceFile[]): Violation[] {
  const rule = 'file names'
  return files.flatMap(({ path }): Violation[] => {
    if (!/^(packages|native|cluster-tests|deploy)\//.test(path) || !code.test(path)) return []
    const stem = path
      .split('/')
      .pop()!
      .replace(/(\.test)?\.[a-z]+$/, '')
    if (grabBags.has(stem.split('.')[0]!)) return [{ rule, path, message: `${stem} says nothing of what is in it` }]
    const native = path.startsWith('native/')
    const pattern = native ? /^[a-z0-9]+([-_][a-z0-9]+)*$/ : /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*$/
    return pattern.test(stem) ? [] : [{ rule, path, message: 'is not kebab-case' }]
  })
}

export function headerViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text }): Violation[] => {
    if (!/^(packages|native|cluster-tests|deploy)\//.test(path) || !/\.(ts|js|cc|c|h|sh)$/.test(path)) return []
    if (/^(#!.*\n)?(\/\/|\/\*|#) ?\S/.test(text)) return []
    return [{ rule: 'file header', path, message: 'starts without a comment that says what it is for' }]
  })
}

/** Each package and native part says its job in the first line of its README. */
export function readmeViolations(files: readonly SourceFile[]): Violation[] {
  const rule = 'README first line'
  const folders = new Set(files.flatMap(({ path }) => /^(?:packages|native)\/[^/]+(?=\/)/.exec(path)?.[0] ?? []))
  return [...folders].sort().flatMap((folder): Violation[] => {
    const path = `${folder}/README.md`
    const readme = files.find((file) => file.path === path)
    if (!readme) return [{ rule, path, message: 'is missing' }]
    const first = readme.text.split('\n')[0]!
    if (first.replace(/^#+ /, '').split(/\s+/).length >= 4) return []
    return [{ rule, path, message: `its first line is “${first}”: it must say the job of the folder in a sentence` }]
  })
}

/** Paths, hosts and marks of one machine. Written in pieces, so that this file has none of them. */
const foreign: readonly [pattern: RegExp, why: string][] = [
  [new RegExp(`/${'home'}/[a-z]{2,}`), 'a path of one machine'],
  [new RegExp(`registry\\.${'npmjs'}\\.org`), 'a registry’s host: npm knows its own'],
  [new RegExp(`\\b${'pkg'}\\.dev\\b`), 'a registry’s host: npm and apt know their own'],
  [new RegExp(`deb\\.${'debian'}\\.org`), 'a mirror’s host: apt knows its own'],
  [/^(<{7}|>{7}) /m, 'a conflict mark'],
]

export function wordViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap(({ path, text }) =>
    foreign.flatMap(([pattern, why]) => {
      const found = pattern.exec(text)
      if (!found) return []
      const line = text.slice(0, found.index).split('\n').length
      return [{ rule: 'foreign words', path: `${path}:${line}`, message: `${found[0].trim()}: ${why}` }]
    }),
  )
}
