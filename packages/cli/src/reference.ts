// docs/cli.md, made from the commands themselves: what help says, for reading. A test holds the file against this.

import type { Argument, Command, Option } from 'commander'
import { examplesOf } from './define-command.ts'
import { createProgram, pathOf, withDescendants } from './program.ts'
import type { Terminal } from './terminal.ts'

export async function renderReference(terminal: Terminal): Promise<string> {
  const program = await createProgram(terminal)
  const commands = withDescendants(program).filter((each) => each !== program && each.commands.length === 0)
  const list = commands.map((each) => `| [\`${pathOf(each)}\`](#${anchor(pathOf(each))}) | ${each.summary()} |`)
  return `${intro}
| command | what it does |
|---|---|
${list.join('\n')}

${commands.map(renderCommand).join('\n')}`
}

const intro = `# The drover command

<!-- Generated from packages/cli by \`node packages/cli/dist/write-reference.js\`. Don't edit. -->

Every command has \`--help\` with examples and \`--json\`: then stdout is one JSON document (JSON lines for \`events\` and \`logs\`) and
nothing else, also when it fails: then it is the error. Results go to stdout, progress and complaints to stderr. Colours need a
terminal; \`NO_COLOR=1\` turns them off.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it could not be done: stderr says why, and what to do |
| 2 | wrong usage: nothing was sent |
| 124 | \`--timeout\` has passed; what was begun goes on |
| 130 | interrupted by Ctrl-C; what was begun goes on |
| other | \`exec\` and \`shell\`: the exit code of the command inside |

The cluster is found by the file in \`DROVER_CONFIG\`, else \`~/.config/drover/client.json\`, else \`/etc/drover/client.json\`; \`drover up\`
writes it. Sizes are like \`64MiB\` or \`1.5GiB\` (a bare number is bytes), shares of cores like \`0.5\` or \`500m\`, times like \`500ms\`,
\`30s\`, \`5m\` or \`1h\`.
`

function renderCommand(command: Command): string {
  const usage = [pathOf(command), '[options]', ...command.registeredArguments.map(describeArgument)].join(' ')
  const aliases = command.aliases().map((alias) => `\`${alias}\``)
  const options = command.options.filter(({ hidden }) => !hidden)
  const rows = [
    ...command.registeredArguments.map(
      (each) => `| \`${describeArgument(each)}\` | ${cell(describeWithChoices(each))} |`,
    ),
    ...options.map((each) => `| \`${each.flags}\` | ${cell(describeWithChoices(each))} |`),
  ]
  const width = Math.max(...examplesOf(command).map(([line]) => line.length))
  const examples = examplesOf(command).map(([line, meaning]) => `${line.padEnd(width)}   # ${meaning}`)
  return `## ${pathOf(command)}

${command.description()}${aliases.length > 0 ? ` Also: ${aliases.join(', ')}.` : ''}

    ${usage}

|  |  |
|---|---|
${rows.join('\n')}

    ${examples.join('\n    ')}
`
}

function describeArgument(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? '...' : ''}`
  return argument.required ? `<${name}>` : `[${name}]`
}

function describeWithChoices({ description, argChoices }: Argument | Option): string {
  return argChoices ? `${description}: ${argChoices.join(', ')}` : description
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function anchor(heading: string): string {
  return heading.replaceAll(' ', '-')
}
