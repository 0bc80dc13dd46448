// `drover profile`: named sets of settings that containers share.

import type { Devices, Operation, Profile, ProfileSettings, SetRequest } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand, defineGroup } from '../define-command.ts'
import { parseDeviceFlag } from '../device-words.ts'
import { editText } from '../edit-text.ts'
import { followToSuccess } from '../follow-operation.ts'
import { describeSettings, parseSetting } from '../limit-settings.ts'
import { parseName, parseNames, parsePair } from '../names.ts'
import { renderTable } from '../output/table.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'
import * as copies from './profile-copy.ts'

interface SettingsFlags {
  device?: Devices
  rmDevice?: string[]
  env?: Record<string, string>
  label?: Record<string, string>
  description?: string
}

export function register(program: Command): void {
  const group = defineGroup(program, 'profile', 'named sets of settings that containers share')
  list(group)
  show(group)
  change(group, 'create')
  change(group, 'set')
  edit(group)
  assign(group)
  copies.register(group)
  remove(group)
}

function list(group: Command): void {
  defineCommand(group, 'ls', { summary: 'list profiles', examples: [['drover profile ls', 'and who has them']] })
    .alias('list')
    .action(
      action(async ({ output, client }) => {
        const [profiles, containers] = await Promise.all([(await client()).profiles(), (await client()).containers()])
        const users = ({ name }: Profile) => containers.filter(({ spec }) => spec.profiles?.includes(name)).length
        if (output.json) return output.document(profiles)
        if (profiles.length === 0)
          return output.note('no profiles yet; make one: drover profile create small memory=256MiB')
        output.line(
          renderTable(
            output.palette,
            [
              { header: 'NAME', value: ({ name }) => output.palette.bold(name) },
              { header: 'CONTAINERS', align: 'right', value: (profile) => String(users(profile)) },
              { header: 'SETS', value: ({ settings }) => Object.keys(settings).join(' ') },
              { header: 'DESCRIPTION', value: ({ description }) => description },
            ],
            profiles,
          ),
        )
      }),
    )
}

function show(group: Command): void {
  defineCommand(group, 'show', {
    summary: 'show a profile',
    examples: [['drover profile show small', 'its settings, as drover profile edit has them']],
  })
    .argument('<profile>', 'name of the profile', parseName)
    .action(
      action(async ({ output, client }, name: string) => {
        const profile = await (await client()).profile(name)
        output.result(profile, () => textOf(profile).trimEnd())
      }),
    )
}

function change(group: Command, verb: 'create' | 'set'): void {
  const creates = verb === 'create'
  defineCommand(group, verb, {
    summary: creates ? 'make a profile' : 'change a profile',
    description: `${creates ? 'Makes a profile' : 'Changes a profile, and with it all containers that have it, as drover set would: at once what can be; what needs a stop, or room on its host, as soon as that is so'}. Its keys are those of drover set:

${describeSettings()}

Environment and labels count for containers launched from then on.`,
    examples: creates
      ? [['drover profile create small memory=256MiB cpu=0.5', 'for drover launch --profile small']]
      : [
          ['drover profile set small memory=512MiB', 'all that have it get that'],
          [
            'drover profile set small cpu=none --device data,type=bind,source=/srv,path=/srv',
            'one limit less, a device more',
          ],
        ],
  })
    .argument('<profile>', 'name of the profile', parseName)
    .argument('[KEY=VALUE...]', 'settings', parseSetting)
    .option('--device <NAME,KEY=VALUE,…>', 'a device, as drover device add knows them; repeatable', parseDeviceFlag)
    .option('--rm-device <name>', 'without this device; repeatable', parseNames)
    .option('-e, --env <KEY=VALUE>', 'environment of its init; repeatable', parsePair)
    .option('-l, --label <KEY=VALUE>', 'label to find it by; repeatable', parsePair)
    .option('--description <text>', 'what it is for')
    .action(
      action(async (session, name: string, given: SetRequest | undefined, flags: SettingsFlags) => {
        const client = await session.client()
        const { description } = flags
        const request = { settings: settingsOf(given, flags), ...(description === undefined ? {} : { description }) }
        const operation = creates ? await client.createProfile(name, request) : await client.setProfile(name, request)
        await tell(session, operation, creates ? 'made' : 'changed')
      }),
    )
}

function edit(group: Command): void {
  defineCommand(group, 'edit', {
    summary: 'edit a profile',
    description:
      'Opens the settings of a profile as JSON in $VISUAL, else $EDITOR, else vi. What is taken out is no longer set; a profile that somebody has changed meanwhile is left alone.',
    examples: [['drover profile edit small', 'in your editor']],
  })
    .argument('<profile>', 'name of the profile', parseName)
    .action(
      action(async (session, name: string) => {
        const client = await session.client()
        const profile = await client.profile(name)
        const before = textOf(profile)
        const after = await editText(session, `${name}.json`, before)
        if (after === before) return session.output.result(profile, () => 'unchanged')
        const { description, settings } = parseText(after)
        const request = { description, settings, replace: true, ifRevision: profile.revision }
        await tell(session, await client.setProfile(name, request), 'changed')
      }),
    )
}

function assign(group: Command): void {
  const command = defineCommand(group, 'assign', {
    summary: 'give profiles to a container',
    description:
      'Says which profiles a container has from now on, the later ones winning; without any it keeps what is its own. What was set on it alone stays.',
    examples: [
      ['drover profile assign web small with-data', 'these two'],
      ['drover profile assign web', 'none'],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('[profile...]', 'names of profiles', parseNames)
  addWaitOptions(command).action(
    action(async (session, name: string, profiles: string[] | undefined, flags: WaitFlags) => {
      const client = await session.client()
      const operation = await followToSuccess(session, await client.set(name, { profiles: profiles ?? [] }), flags)
      session.output.result(operation, () => `${name} has ${profiles?.join(', ') ?? 'no profiles'}`)
    }),
  )
}

function remove(group: Command): void {
  defineCommand(group, 'rm', {
    summary: 'remove a profile',
    description: 'Removes a profile that no container has.',
    examples: [['drover profile rm small', '']],
  })
    .alias('delete')
    .argument('<profile>', 'name of the profile', parseName)
    .action(
      action(async (session, name: string) => {
        const operation = await (await session.client()).deleteProfile(name)
        session.output.result(operation, () => `removed profile ${name}`)
      }),
    )
}

function settingsOf(given: SetRequest = {}, { device, rmDevice = [], env, label }: SettingsFlags): ProfileSettings {
  const gone = Object.fromEntries(rmDevice.map((name) => [name, null]))
  const { scheduling: rules, ...rest } = given
  const kept = Object.fromEntries(Object.entries(rules ?? {}).filter(([, value]) => value !== null))
  return {
    ...rest,
    ...(rules === undefined ? {} : { scheduling: kept }),
    ...(device === undefined && rmDevice.length === 0 ? {} : { devices: { ...device, ...gone } }),
    ...(env === undefined ? {} : { environment: env }),
    ...(label === undefined ? {} : { labels: label }),
  }
}

async function tell(session: Session, operation: Operation, verb: string): Promise<void> {
  const { output } = session
  if (output.json) return output.document(operation)
  const containers = await (await session.client()).containers()
  const users = containers.filter(({ spec }) => spec.profiles?.includes(operation.target))
  const follow =
    users.length === 0 ? '' : `; ${users.length} ${users.length === 1 ? 'container follows' : 'containers follow'}`
  output.line(`${verb} profile ${operation.target}${follow}`)
}

const textOf = ({ description, settings }: Profile): string => `${JSON.stringify({ description, settings }, null, 2)}\n`

function parseText(text: string): { description: string; settings: ProfileSettings } {
  try {
    const { description = '', settings = {} } = JSON.parse(text) as Partial<Profile>
    return { description, settings }
  } catch (error) {
    throw new DroverError('BAD_REQUEST', `edit: that is not JSON: ${(error as Error).message}; nothing was changed`)
  }
}
