// Every input of the fuzzers' corpus (native/fuzz) goes once through the native parsers, built with the address and undefined
// behaviour sanitizers: what was found stays mended. `npm run fuzz` searches for more.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const fuzz = fileURLToPath(new URL('../../../native/fuzz', import.meta.url))
const replay = join(fuzz, 'build/fuzz-replay')
const corpus = join(fuzz, 'corpus')
const skip = existsSync(replay) ? false : `needs ${replay}, which \`npm test\` builds`

t.test('the corpus of every fuzz target passes, with sanitizers', { skip }, async (t) => {
  const { status, signal, stdout, stderr } = spawnSync(replay, [corpus], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  })
  t.equal(status, 0, `ended with ${signal ?? status}: ${stderr.split('\n').slice(-40).join('\n')}`)
  const ran = new Map(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ') as [string, string]),
  )
  for (const target of readdirSync(corpus))
    t.equal(ran.get(target), String(readdirSync(join(corpus, target)).length), `all inputs of ${target} were run`)
  for (const [target, inputs] of ran) t.not(inputs, '0', `${target} has inputs`)
})
