// Each rule of the house finds what it is there to find, and lets the rest alone.

import t from 'tap'
import {
  cycleViolations,
  headerViolations,
  importViolations,
  namedTestViolations,
  nameViolations,
  purityViolations,
  readmeViolations,
  type SourceFile,
  sizeViolations,
  type Violation,
  wordViolations,
} from '../src/repository-rules/index.ts'

/** The keywords apart, so that the rules don't take these examples for imports of this file. */
const imports = 'import'
const exports = 'export'

type Case = [name: string, files: { [path: string]: string }, expected: RegExp | null]

const table: { [rule: string]: { check: (files: SourceFile[]) => Violation[]; cases: Case[] } } = {
  imports: {
    check: importViolations,
    cases: [
      [
        'an edge of the table',
        { 'packages/agent/src/a.ts': `${imports} { x } from '@drover/engine'` },
        /not among the dependencies/,
      ],
      ['a declared one', declared('agent', '@drover/engine', `${imports} { x } from '@drover/engine'`), null],
      [
        'a wrong direction',
        declared('scheduler', '@drover/raft', `${imports} type { x } from '@drover/raft'`),
        /may import protocol only/,
      ],
      [
        'product code on testkit',
        declared('agent', '@drover/testkit', `${imports} '@drover/testkit'`),
        /for tests only/,
      ],
      [
        'the inside of another package',
        { 'packages/cli/src/a.ts': `${imports} { x } from '../../client/src/x.ts'` },
        /another package's inside/,
      ],
      [
        'a path into a package',
        declared('cli', '@drover/client', `${exports} * from '@drover/client/src/x.ts'`),
        /only what @drover\/client exports/,
      ],
      ['a missing extension', { 'packages/cli/src/a.ts': `${imports} { x } from './x'` }, /ends in \.ts/],
      [
        'an undeclared dependency',
        { 'packages/cli/src/a.ts': `${imports} {\n  x,\n} from 'left-pad'` },
        /left-pad is not among/,
      ],
      ['a dynamic import', { 'packages/cli/src/a.ts': `await ${imports}('left-pad')` }, /left-pad is not among/],
      [
        'a comment',
        { 'packages/cli/src/a.ts': `// ${imports} { x } from 'left-pad'\n/* ${imports} 'left-pad' */` },
        null,
      ],
      ['node modules', { 'packages/cli/src/a.ts': `${imports} fs from 'node:fs'` }, null],
    ],
  },
  cycles: {
    check: cycleViolations,
    cases: [
      [
        'a circle',
        { 'packages/cli/src/a.ts': `${imports} './b.ts'`, 'packages/cli/src/b.ts': `${imports} './a.ts'` },
        /a\.ts → .*b\.ts → .*a\.ts/,
      ],
      [
        'types only',
        {
          'packages/cli/src/a.ts': `${imports} './b.ts'`,
          'packages/cli/src/b.ts': `${imports} type { A } from './a.ts'`,
        },
        null,
      ],
    ],
  },
  purity: {
    check: purityViolations,
    cases: [
      ['the clock', { 'packages/scheduler/src/a.ts': 'const now = Date.now()' }, /a\.ts:1: Date\.now/],
      ['a date of an argument', { 'packages/scheduler/src/a.ts': 'new Date(nowMs)' }, null],
      ['randomness', { 'packages/controller/src/core/a.ts': '\nMath.random()' }, /a\.ts:2: Math\.random/],
      ['a node module', { 'packages/agent/src/reconcile.ts': `${imports} fs from 'node:fs'` }, /imports node:fs/],
      ['the shell', { 'packages/controller/src/core/a.ts': `${imports} { x } from '../shell/x.ts'` }, /not pure code/],
      [
        'a type of the shell',
        { 'packages/controller/src/core/a.ts': `${imports} type { x } from '../shell/x.ts'` },
        null,
      ],
      ['a comment', { 'packages/scheduler/src/a.ts': '// never Date.now here' }, null],
      ['code that may', { 'packages/controller/src/shell/a.ts': 'Date.now()' }, null],
    ],
  },
  sizes: {
    check: (files) => sizeViolations(files, { 'packages/cli/src/excused.ts': 'a table' }),
    cases: [
      ['too long', { 'packages/cli/src/excused.ts': '\n'.repeat(801) }, /801 lines; the limit is 800/],
      [
        'long',
        { 'packages/cli/src/a.ts': '\n'.repeat(401), 'packages/cli/src/excused.ts': '\n'.repeat(401) },
        /src\/a\.ts: 401 lines/,
      ],
      ['excused', { 'packages/cli/src/excused.ts': '\n'.repeat(500) }, null],
      ['an idle excuse', { 'packages/cli/src/excused.ts': '\n' }, /does not need it any more/],
    ],
  },
  names: {
    check: nameViolations,
    cases: [
      ['a grab bag', { 'packages/cli/src/utils.ts': '' }, /says nothing/],
      ['its test', { 'packages/cli/test/helpers.test.ts': '' }, /says nothing/],
      ['another case', { 'packages/cli/src/fooBar.ts': '' }, /kebab-case/],
      ['kebab-case', { 'packages/cli/src/foo-bar.ts': '', 'native/engine/src/criu_client.cc': '' }, null],
    ],
  },
  headers: {
    check: headerViolations,
    cases: [
      ['no header', { 'packages/cli/src/a.ts': 'export {}' }, /without a comment/],
      ['a header', { 'packages/cli/src/a.ts': '// What it is for.\n', 'deploy/x.sh': '#!/bin/sh\n# What.\n' }, null],
    ],
  },
  readmes: {
    check: readmeViolations,
    cases: [
      ['none', { 'native/engine/src/a.cc': '' }, /native\/engine\/README\.md: is missing/],
      ['a bare title', { 'packages/cli/README.md': '# @drover/cli\n' }, /must say the job/],
      ['a job', { 'packages/cli/README.md': 'The drover command, one file per command.\n' }, null],
    ],
  },
  'named tests': {
    check: namedTestViolations,
    cases: [
      ['one that is there', compared('| a | works | so | `cli/a` “does it” |'), null],
      ['two of a story', compared('| a | works | so | `stories/b` “goes”, “comes” |'), null],
      [
        'no such file',
        compared('| a | differs | so | `cli/c` “does it” |'),
        /md:3: packages\/cli\/test\/c\.test\.ts is not/,
      ],
      ['no such title', compared('| a | works | so | `cli/a` “does it”, “undoes it” |'), /no test “undoes it”/],
      ['a part of a title', compared('| a | works | so | `cli/a` “does” |'), /no test “does”/],
      ['no title', compared('| a | works | so | `cli/a` |'), /title of a test is missing/],
      ['works, but no test', compared('| a | works | so | |'), /names no test/],
      ['no test is needed for what is not', compared('| a | not | never | |'), null],
      ['a bar in a cell', compared('| a | works | x\\|y | `cli/a` “undoes it” |'), /no test “undoes it”/],
      ['a cell too many', compared('| a | works | so | so | `cli/a` “does it” |'), /four cells, not 5/],
      ['another verdict', compared('| a | perhaps | so | |'), /“perhaps” is none of/],
    ],
  },
  words: {
    check: wordViolations,
    cases: [
      ['a path of a machine', { 'docs/a.md': `one\nsee /${'home'}/someone/x` }, /docs\/a\.md:2/],
      ['a registry', { '.npmrc': `registry=https://registry.${'npmjs'}.org` }, /registry’s host/],
      ['nothing', { 'docs/a.md': 'at home/main/tain' }, null],
    ],
  },
}

for (const [rule, { check, cases }] of Object.entries(table)) {
  for (const [name, files, expected] of cases) {
    t.test(`${rule}: ${name}`, async (t) => {
      const violations = check(Object.entries(files).map(([path, text]) => ({ path, text })))
      const shown = violations.map(({ path, message }) => `${path}: ${message}`).join('\n')
      if (expected) t.match(shown, expected)
      else t.equal(shown, '')
    })
  }
}

function declared(owner: string, dependency: string, text: string) {
  return {
    [`packages/${owner}/package.json`]: JSON.stringify({ dependencies: { [dependency]: '1' } }),
    [`packages/${owner}/src/a.ts`]: text,
  }
}

function compared(row: string) {
  return {
    'docs/containers.md': `| peer | drover | how | shown by |\n|---|---|---|---|\n${row}\n`,
    'packages/cli/test/a.test.ts': "t.test('does it', async () => {})",
    'cluster-tests/test/b.test.ts': "t.test('goes')\nt.test(`comes`)",
  }
}
