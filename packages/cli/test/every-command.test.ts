// What holds for every command, found by walking the commands themselves.

import { readdirSync, readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { createProgram, pathOf, renderReference, withDescendants } from '@drover/cli'
import t from 'tap'

const terminal = {
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  environment: {},
  onSignal: () => () => {},
}

const program = await createProgram(terminal)
const commands = withDescendants(program).filter((each) => each.commands.length === 0)

t.test('there are commands', async (t) => t.ok(commands.length > 20))

for (const command of commands) {
  const path = pathOf(command)
  t.test(`${path}: a summary, an example in its help, and --json`, async (t) => {
    t.ok(command.summary(), 'it has a summary')
    t.ok(
      command.options.some(({ long }) => long === '--json'),
      'it has --json',
    )
    let help = ''
    command.configureOutput({
      writeOut: (text) => {
        help += text
      },
    })
    t.throws(() => command.help(), { code: 'commander.help' })
    t.match(help, /Usage: drover/)
    t.match(help, /\nExamples?:\n/)
    t.ok(help.includes(`${path.split(' ').slice(0, 2).join(' ')}`), 'the example is of this command')
    for (const argument of command.registeredArguments) t.ok(argument.description, `<${argument.name()}> is described`)
    for (const { long, description } of command.options) t.ok(description, `${long} is described`)
  })
}

t.test('a command that is called by its name comes without the others', async (t) => {
  const alone = program.commands.map((each) => each.name()).filter((name) => name !== 'completion')
  for (const name of alone) {
    const { commands } = await createProgram(terminal, name)
    t.strictSame(
      commands.map((each) => each.name()),
      [name],
    )
  }
  for (const word of ['help', 'rm', 'completion', '--help', 'constructor', undefined]) {
    const { commands } = await createProgram(terminal, word)
    t.equal(commands.length, program.commands.length, word ?? 'none')
  }
})

t.test('no two commands of a level have the same name or alias', async (t) => {
  for (const parent of withDescendants(program)) {
    const names = parent.commands.flatMap((each) => [each.name(), ...each.aliases()])
    t.equal(new Set(names).size, names.length, pathOf(parent))
  }
})

t.test('docs/cli.md is what the commands say: node packages/cli/dist/write-reference.js', async (t) => {
  const written = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
  t.equal(written, await renderReference(terminal))
})

t.test('starting the command builds no schemas: they cost a quarter of a second', async (t) => {
  for (const folder of ['../src/', '../../client/src/']) {
    for (const file of readdirSync(new URL(folder, import.meta.url), { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue
      const source = readFileSync(new URL(`${folder}${file}`, import.meta.url), 'utf8')
      const built = source.match(/^import (?!type )[^'"]* from '@drover\/protocol'$/gm) ?? []
      t.same(built, [], `${file}: take values from @drover/protocol/plain, types by import type`)
    }
  }
})
