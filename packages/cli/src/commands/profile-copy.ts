// `drover profile copy` and `rename`. A rename is a copy that the containers are given in its place: broken off, it is just done again.

import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import type { Session } from '../session.ts'

export function register(group: Command): void {
  defineCommand(group, 'copy', {
    summary: 'make a profile with the settings of another one',
    examples: [['drover profile copy small tiny', 'to go on from there']],
  })
    .argument('<profile>', 'name of the profile', parseName)
    .argument('<new>', 'name of the new one', parseName)
    .action(
      action(async (session, name: string, other: string) => {
        const operation = await copy(session, name, other)
        session.output.result(operation, () => `profile ${other} is as ${name} is`)
      }),
    )
  defineCommand(group, 'rename', {
    summary: 'give a profile another name',
    description:
      'Gives a profile another name, container by container of those that have it: their settings stay as they are.',
    examples: [['drover profile rename small tiny', 'its containers have tiny from now on']],
  })
    .argument('<profile>', 'name of the profile', parseName)
    .argument('<new>', 'its new name', parseName)
    .action(action(rename))
}

async function copy(session: Session, name: string, other: string) {
  const client = await session.client()
  const { description, settings } = await client.profile(name)
  return client.createProfile(other, { description, settings })
}

async function rename(session: Session, name: string, other: string): Promise<void> {
  const client = await session.client()
  const there = (await client.profiles()).find((each) => each.name === other)
  const { settings } = await client.profile(name)
  if (there === undefined) await copy(session, name, other)
  else if (JSON.stringify(there.settings) !== JSON.stringify(settings))
    throw new DroverError('NAME_TAKEN', `rename profile ${name}: there is another one named ${other}`)
  for (const container of await client.containers()) {
    const { profiles = [] } = container.spec
    if (!profiles.includes(name)) continue
    const renamed = profiles.map((each) => (each === name ? other : each))
    await followToSuccess(session, await client.set(container.name, { profiles: [...new Set(renamed)] }), {
      wait: true,
    })
  }
  const operation = await client.deleteProfile(name)
  session.output.result(operation, () => `profile ${name} is named ${other} now`)
}
