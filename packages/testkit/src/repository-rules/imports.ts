// Who may import whom: the table of DESIGN's folders, executable. Imports are found by their syntax, so nothing is loaded.

import { posix } from 'node:path'
import { type SourceFile, type Violation, withoutComments } from './source-file.ts'

/** Package → packages that its src may import. Tests may also use testkit, and testkit and cluster-tests anything. */
export const allowedImports: { [name: string]: readonly string[] } = {
  schema: [],
  protocol: ['schema'],
  scheduler: ['protocol'],
  raft: ['protocol'],
  engine: ['protocol'],
  client: ['protocol'],
  controller: ['schema', 'protocol', 'scheduler', 'raft'],
  agent: ['schema', 'protocol', 'engine'],
  cli: ['protocol', 'client'],
  dashboard: ['protocol', 'client'],
  testkit: ['protocol', 'scheduler', 'raft', 'engine', 'client', 'controller', 'agent', 'cli', 'dashboard'],
  'cluster-tests': ['protocol', 'scheduler', 'client', 'cli', 'engine', 'agent', 'testkit'],
}

const rule = 'import direction'

export interface Import {
  specifier: string
  typeOnly: boolean
}

export function importsOf(text: string): Import[] {
  const found: Import[] = []
  const statements = /\b(import|export)\s+(type\s+)?(?:[\w$*\s{},]+?\sfrom\s*)?(['"])([^'"\n]+)\3/g
  for (const match of withoutComments(text).matchAll(statements)) {
    found.push({ specifier: match[4]!, typeOnly: match[2] !== undefined })
  }
  for (const match of withoutComments(text).matchAll(/\bimport\(\s*(['"])([^'"\n]+)\1/g)) {
    found.push({ specifier: match[2]!, typeOnly: false })
  }
  return found
}

/** Edges between packages that the table doesn't have, ways into another package's inside, and dependencies undeclared. */
export function importViolations(files: readonly SourceFile[]): Violation[] {
  return codeFiles(files).flatMap((file) => {
    const owner = packageOf(file.path)!
    const inTest = file.path.includes('/test/') || owner === 'cluster-tests'
    const declared = declaredDependencies(files, owner, inTest)
    return importsOf(file.text).flatMap(({ specifier, typeOnly }): Violation[] => {
      const problem = specifier.startsWith('.')
        ? relativeProblem(file.path, specifier, owner)
        : (droverProblem(specifier, owner, inTest) ?? dependencyProblem(specifier, declared, typeOnly))
      return problem ? [{ rule, path: file.path, message: `imports ${specifier}: ${problem}` }] : []
    })
  })
}

/** Files that import each other in a circle at run time: none can be read, tested or loaded before the others. */
export function cycleViolations(files: readonly SourceFile[]): Violation[] {
  const graph = new Map<string, string[]>()
  for (const file of codeFiles(files)) {
    const targets = importsOf(file.text).filter(({ specifier, typeOnly }) => specifier.startsWith('.') && !typeOnly)
    graph.set(
      file.path,
      targets.map(({ specifier }) => posix.join(posix.dirname(file.path), specifier)),
    )
  }
  const violations: Violation[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (path: string, trail: string[]) => {
    if (state.get(path) === 'done' || !graph.has(path)) return
    if (state.get(path) === 'open') {
      const circle = [...trail.slice(trail.indexOf(path)), path]
      violations.push({ rule: 'no import cycles', path, message: circle.join(' → ') })
      return
    }
    state.set(path, 'open')
    for (const target of graph.get(path)!) visit(target, [...trail, path])
    state.set(path, 'done')
  }
  for (const path of graph.keys()) visit(path, [])
  return violations
}

function codeFiles(files: readonly SourceFile[]): SourceFile[] {
  return files.filter(({ path }) => path.endsWith('.ts') && packageOf(path) !== null)
}

export function packageOf(path: string): string | null {
  const [top, second] = path.split('/')
  if (top === 'cluster-tests') return top
  return top === 'packages' && second !== undefined ? second : null
}

function relativeProblem(from: string, specifier: string, owner: string): string | null {
  if (!specifier.endsWith('.ts') && !specifier.endsWith('.json')) return 'a relative import ends in .ts'
  const target = posix.join(posix.dirname(from), specifier)
  if (packageOf(target) !== owner) return `${target} is another package's inside; import @drover/… instead`
  return null
}

function droverProblem(specifier: string, owner: string, inTest: boolean): string | null {
  if (!specifier.startsWith('@drover/')) return null
  const [, target = '', ...inside] = specifier.split('/')
  if (inside.includes('src') || inside.includes('dist')) return `only what @drover/${target} exports may be imported`
  if (target === owner) return inTest ? null : 'a package imports its own files by relative paths'
  if (inTest && target === 'testkit') return null
  const allowed = allowedImports[owner] ?? []
  if (allowed.includes(target)) return null
  if (target === 'testkit') return 'testkit is for tests only'
  return `${owner} may import ${allowed.length > 0 ? allowed.join(', ') : 'no other package'} only`
}

function dependencyProblem(specifier: string, declared: ReadonlySet<string>, typeOnly: boolean): string | null {
  if (specifier.startsWith('node:')) return null
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  if (declared.has(name) || (typeOnly && declared.has(`@types/${name}`))) return null
  return `${name} is not among the dependencies in package.json`
}

function declaredDependencies(files: readonly SourceFile[], owner: string, inTest: boolean): Set<string> {
  const own = `packages/${owner}/package.json`
  const names = new Set<string>([`@drover/${owner}`])
  for (const file of files) {
    // Tests aren't installed anywhere: they may use whatever some package of the workspace brings along.
    if (inTest ? !/(^|\/)package\.json$/.test(file.path) : file.path !== own) continue
    const manifest = JSON.parse(file.text) as { [kind: string]: Record<string, string> | undefined }
    for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
      for (const name of Object.keys(manifest[kind] ?? {})) names.add(name)
    }
  }
  if (inTest) names.add('@drover/testkit')
  return names
}
