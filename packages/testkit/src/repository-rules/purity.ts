// Pure code gets time, randomness, disk and network as arguments: that is what makes a replicated state machine agree with
// itself, and a plan repeatable. What would break it is found by name.

import { posix } from 'node:path'
import { importsOf } from './imports.ts'
import { type SourceFile, type Violation, withoutComments } from './source-file.ts'

const rule = 'purity'

/** Folders and files that are pure. */
export const pureZones: readonly string[] = [
  'packages/scheduler/src/',
  'packages/controller/src/core/',
  'packages/agent/src/reconcile.ts',
  'packages/agent/src/reconcile/',
]

/** What pure code may import from outside its zone. */
const pureImports = new Set(['@drover/protocol', '@drover/scheduler', '@drover/schema'])

const impure: readonly [pattern: RegExp, why: string][] = [
  [/\bDate\.now\b/, 'the clock is an argument: the proposer puts the time into the entry'],
  [/\bnew Date\(\s*\)/, 'the clock is an argument: the proposer puts the time into the entry'],
  [/\bperformance\./, 'the clock is an argument'],
  [/\bMath\.random\b/, 'randomness is an argument: two replicas would differ'],
  [/\brandom(UUID|Bytes|Int)\b/, 'randomness is an argument: two replicas would differ'],
  [/\bset(Timeout|Interval|Immediate)\b/, 'waiting is the shell’s'],
  [/\bprocess\./, 'the environment is an argument'],
  [/\bconsole\./, 'pure code returns what there is to say'],
  [/\bpino\b/, 'pure code returns what there is to say'],
  [/\bfetch\(/, 'the network is the shell’s'],
]

export function purityViolations(files: readonly SourceFile[]): Violation[] {
  return files.flatMap((file) => {
    const zone = pureZones.find((candidate) => file.path.startsWith(candidate))
    if (!zone || !file.path.endsWith('.ts')) return []
    return [...impureNames(file), ...impureImports(file)]
  })
}

function impureNames(file: SourceFile): Violation[] {
  const lines = withoutComments(file.text).split('\n')
  return lines.flatMap((line, index) =>
    impure.flatMap(([pattern, why]) => {
      const found = pattern.exec(line)
      return found ? [{ rule, path: `${file.path}:${index + 1}`, message: `${found[0]}: ${why}` }] : []
    }),
  )
}

function impureImports(file: SourceFile): Violation[] {
  return importsOf(file.text).flatMap(({ specifier, typeOnly }) => {
    if (typeOnly) return []
    if (specifier.startsWith('.')) {
      const target = posix.join(posix.dirname(file.path), specifier)
      if (pureZones.some((zone) => target.startsWith(zone))) return []
      return [{ rule, path: file.path, message: `imports ${specifier}, which is not pure code` }]
    }
    if (pureImports.has(specifier)) return []
    return [
      { rule, path: file.path, message: `imports ${specifier}; pure code imports only ${[...pureImports].join(', ')}` },
    ]
  })
}
