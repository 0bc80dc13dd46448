// `drover host token`: the words by which new hosts join.

import type { Command } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { parseName } from '../names.ts'
import { formatTime, parseDuration } from '../output/durations.ts'
import { renderTable } from '../output/table.ts'

export function register(group: Command): void {
  const tokens = defineGroup(group, 'token', 'tokens by which new hosts join')
  create(tokens)
  list(tokens)
  revoke(tokens)
}

function create(tokens: Command): void {
  defineCommand(tokens, 'create', {
    summary: 'make a token by which a new host joins',
    description: `Makes the one word by which a machine becomes the host of this name: said there to \`drover up --join\`, once, before it expires. It holds
where the controllers are, the fingerprint of the cluster's authority and a secret; whoever has it first can join, so send it as you
would a password. A token that the name had before is good no more.`,
    examples: [
      ['drover host token create b', 'then, on the new machine: drover up --join TOKEN'],
      ['drover host token create b --expires 10m', 'good for ten minutes instead of an hour'],
      ['drover host token create b --again', 'b was installed anew, or its certificate is about to end'],
    ],
  })
    .argument('<host>', 'name that the new host is to have', parseName)
    .option('--expires <time>', 'how long it is good, e.g. 10m, 1h or 7d', parseDuration)
    .option('--again', 'for a host that has joined already')
    .action(
      action(async ({ client, output }, host: string, flags: { expires?: number; again?: boolean }) => {
        const request = {
          ...(flags.expires === undefined ? {} : { lifeMs: flags.expires }),
          ...(flags.again === undefined ? {} : { again: flags.again }),
        }
        const made = await (await client()).makeHostToken(host, request)
        output.result(made, () => {
          output.note(`on the new machine, until ${formatTime(made.expiresAtMs)}: drover up --join TOKEN`)
          return made.token
        })
      }),
    )
}

function list(tokens: Command): void {
  defineCommand(tokens, 'ls', {
    summary: 'list tokens, without their secrets',
    examples: [['drover host token ls', 'which are open, used and expired']],
  })
    .alias('list')
    .action(
      action(async ({ client, output }) => {
        const all = await (await client()).hostTokens()
        if (output.json) return output.document(all)
        if (all.length === 0) return output.note('no tokens; make one: drover host token create NAME')
        output.line(
          renderTable(
            output.palette,
            [
              { header: 'HOST', value: ({ host }) => output.palette.bold(host) },
              { header: 'STATE', value: ({ state }) => state },
              { header: 'EXPIRES', value: ({ expiresAtMs }) => formatTime(expiresAtMs) },
              { header: 'USED BY', value: ({ usedBy }) => usedBy ?? '' },
            ],
            all,
          ),
        )
      }),
    )
}

function revoke(tokens: Command): void {
  defineCommand(tokens, 'revoke', {
    summary: 'take a token back',
    examples: [['drover host token revoke b', 'nobody joins as b by it any more']],
  })
    .argument('<host>', 'name that the token is for', parseName)
    .action(
      action(async ({ client, output }, host: string) => {
        const operation = await (await client()).revokeHostToken(host)
        output.result(operation, () => `the token of host ${host} was taken back`)
      }),
    )
}
