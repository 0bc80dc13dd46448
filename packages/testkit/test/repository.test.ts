// The rules of the house, on the real tree. Each message says which rule, where and why; repository-rules.test.ts shows
// that each rule can fail.

import { join } from 'node:path'
import t from 'tap'
import {
  comparisonPath,
  cycleViolations,
  headerViolations,
  importViolations,
  namedTestViolations,
  nameViolations,
  purityViolations,
  readmeViolations,
  repositoryFiles,
  showViolation,
  sizeViolations,
  type Violation,
  wordViolations,
} from '../src/repository-rules/index.ts'

/** Files over 400 lines, each with the reason why it is one file. */
const longFiles: { [path: string]: string } = {}

const files = repositoryFiles(join(import.meta.dirname, '..', '..', '..'))

const rules: [name: string, check: () => Violation[]][] = [
  [
    'packages import each other in one direction, by what they export, and declare what they use',
    () => importViolations(files),
  ],
  ['files do not import each other in circles', () => cycleViolations(files)],
  ['pure code has no clock, randomness, timer, environment, log or node module', () => purityViolations(files)],
  ['files stay small', () => sizeViolations(files, longFiles)],
  ['files are named after what is in them', () => nameViolations(files)],
  ['files begin with what they are for', () => headerViolations(files)],
  ['each part says its job in the first line of its README', () => readmeViolations(files)],
  ['the comparison names tests that are there', () => namedTestViolations(files)],
  ['nothing speaks of one machine', () => wordViolations(files)],
]

t.test('the rules see the repository', async (t) => {
  for (const path of [
    'package.json',
    'packages/protocol/src/errors.ts',
    'packages/scheduler/src/snapshot.ts',
    comparisonPath,
  ]) {
    t.ok(
      files.some((file) => file.path === path),
      path,
    )
  }
})

for (const [name, check] of rules) {
  t.test(name, async (t) => {
    t.same(check().map(showViolation), [])
  })
}
