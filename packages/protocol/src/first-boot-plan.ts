// What user and vendor data ask for, in an image that has no cloud-init: a plan that is data. A part of what cloud-init knows is
// carried out, in its own words and meaning (cloudinit.readthedocs.io, "Module reference"); all else is refused by name, so that nothing
// that somebody asked for is silently left out.

import { isMap, parseDocument } from 'yaml'
import { DroverError } from './errors.ts'
import type { FirstBoot } from './first-boot.ts'
import { Field } from './first-boot-field.ts'
import { firstBootProblem } from './first-boot-problem.ts'
import { type BootUser, readGroups, readUsers } from './first-boot-users.ts'

export interface BootFile {
  path: string
  contentBase64: string
  /** Names, resolved inside. */
  user: string
  group: string
  mode: number
  append: boolean
}

export interface FirstBootPlan {
  hostname: string | null
  groups: { name: string; members: string[] }[]
  users: BootUser[]
  rootKeys: string[]
  files: BootFile[]
  timezone: string | null
  /** Each a name, or a name and its version. */
  packages: string[][]
  updatePackages: boolean
  upgradePackages: boolean
  /** A line for the shell, or the words of a command. */
  commands: (string | string[])[]
  /** Scripts that are the data themselves. */
  scripts: { name: string; text: string }[]
  finalMessage: string | null
}

const keys = [
  'hostname',
  'groups',
  'users',
  'ssh_authorized_keys',
  'write_files',
  'timezone',
  'packages',
  'package_update',
  'package_upgrade',
  'runcmd',
  'final_message',
] as const
const hints = {
  bootcmd: 'use runcmd, which runs once',
  fqdn: 'the container’s name is its hostname',
  chpasswd: 'give a user passwd, a hash',
  network: 'the network is up before init starts',
}
const mostItems = 256
const mostAliases = 100

/** Only the form that cloud-init reads as well: null, or what is wrong with it for any reader. */
export function firstBootSyntaxProblem(firstBoot: FirstBoot): string | null {
  return problemOf(() => {
    for (const [name, text] of dataOf(firstBoot)) if (isConfig(text)) parse(name, text)
  }, firstBoot)
}

/** What a container without cloud-init can't be told, by field and rule; null: all of it can. `name`: of the container, if it is known. */
export function firstBootPlanProblem(firstBoot: FirstBoot, name?: string): string | null {
  return problemOf(() => {
    const { hostname } = firstBootPlan(firstBoot)
    if (name !== undefined && hostname !== null && hostname !== name)
      throw new DroverError('BAD_REQUEST', `hostname: must be the container’s name ${name}, it is ${hostname}`)
  }, firstBoot)
}

/** Throws BAD_REQUEST. What user data says of a key replaces what vendor data says of it. */
export function firstBootPlan(firstBoot: FirstBoot): FirstBootPlan {
  const scripts: FirstBootPlan['scripts'] = []
  const merged: Record<string, unknown> = {}
  for (const [name, text] of dataOf(firstBoot).reverse()) {
    if (text.startsWith('#!')) scripts.push({ name, text })
    else if (isConfig(text)) Object.assign(merged, parse(name, text))
    else throw new DroverError('BAD_REQUEST', `${name}: without cloud-init it must begin with #cloud-config or #!`)
  }
  const fields = new Field('', merged).members(keys, hints)
  return {
    hostname: fields.hostname.given ? fields.hostname.text() : null,
    groups: readGroups(fields.groups),
    users: readUsers(fields.users),
    rootKeys: [...(firstBoot.sshKeys ?? []), ...fields.ssh_authorized_keys.texts(mostItems)],
    files: fields.write_files.list(mostItems).map(readFile),
    timezone: fields.timezone.given
      ? fields.timezone.text('a name like Europe/Berlin', /^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/)
      : null,
    packages: fields.packages.list(mostItems).map(readPackage),
    updatePackages: fields.package_update.boolean(false),
    upgradePackages: fields.package_upgrade.boolean(false),
    commands: fields.runcmd.list(mostItems).map(readCommand),
    scripts,
    finalMessage: fields.final_message.given ? fields.final_message.text() : null,
  }
}

function problemOf(read: () => void, firstBoot: FirstBoot): string | null {
  const problem = firstBootProblem(firstBoot)
  if (problem !== null) return problem
  try {
    read()
    return null
  } catch (error) {
    return DroverError.from(error).message
  }
}

const isConfig = (text: string) => text.startsWith('#cloud-config')

function dataOf({ userData, vendorData }: FirstBoot): [string, string][] {
  return [
    ...(userData === undefined ? [] : [['user-data', userData] as [string, string]]),
    ...(vendorData === undefined ? [] : [['vendor-data', vendorData] as [string, string]]),
  ]
}

/** As YAML 1.1, which is what cloud-init's own reader takes: 0644 is octal there. */
function parse(name: string, text: string): Record<string, unknown> {
  const document = parseDocument(text, { version: '1.1' })
  const [error] = document.errors
  if (error) throw new DroverError('BAD_REQUEST', `${name}: ${error.message.split('\n')[0]?.replace(/:$/, '')}`)
  if (document.contents === null) return {}
  if (!isMap(document.contents)) throw new DroverError('BAD_REQUEST', `${name}: must be a mapping of keys`)
  try {
    return document.toJS({ maxAliasCount: mostAliases }) as Record<string, unknown>
  } catch (thrown) {
    throw new DroverError('BAD_REQUEST', `${name}: ${(thrown as Error).message}`)
  }
}

function readFile(field: Field): BootFile {
  const known = ['path', 'content', 'encoding', 'permissions', 'owner', 'append', 'defer'] as const
  const { path, content, encoding, permissions, owner, append, defer } = field.members(known)
  // All files come after the users, as if each were deferred.
  defer.boolean(false)
  const form = encoding.given ? encoding.text() : 'text/plain'
  const text = content.given ? content.text() : ''
  if (!['text/plain', 'b64', 'base64'].includes(form)) encoding.refuse('b64, base64 or text/plain')
  const bare = text.replace(/\s/g, '')
  if (form !== 'text/plain' && !/^[A-Za-z0-9+/]*={0,2}$/.test(bare)) content.refuse('base64, as its encoding says')
  const [user, group] = owner.given
    ? owner.text('USER or USER:GROUP', /^[^:\s]+(:[^:\s]+)?$/).split(':')
    : ['root', 'root']
  return {
    path: path.text('an absolute path without ..', /^\/(?!(.*\/)?\.\.(\/|$))[^\0]*[^/\0]$/),
    contentBase64: form === 'text/plain' ? encode(text) : bare,
    user: user as string,
    group: group ?? (user as string),
    mode: readMode(permissions),
    append: append.boolean(false),
  }
}

function readMode(field: Field): number {
  if (!field.given) return 0o644
  const { value } = field
  if (typeof value === 'number') return field.integer(0, 0o7777)
  return Number.parseInt(field.text("octal digits like '0644'", /^(0o)?[0-7]{3,5}$/).replace('0o', ''), 8) & 0o7777
}

function readPackage(field: Field): string[] {
  const rule = 'a package’s name, or [name, version]'
  const words = Array.isArray(field.value) ? field.list(2).map((each) => each.text(rule)) : [field.text(rule)]
  // It becomes a word of a command: no option, no other word.
  if (words.length === 0 || words.some((word) => !/^[A-Za-z0-9][A-Za-z0-9.+:~_=@^-]*$/.test(word))) field.refuse(rule)
  return words
}

function readCommand(field: Field): string | string[] {
  if (typeof field.value === 'string') return field.value
  if (!Array.isArray(field.value) || field.value.length === 0)
    return field.refuse('a line for the shell, or a list of words')
  return field.list(mostItems).map((each) => {
    if (typeof each.value === 'number' || typeof each.value === 'boolean') return String(each.value)
    return each.text()
  })
}

function encode(text: string): string {
  let bytes = ''
  for (const byte of new TextEncoder().encode(text)) bytes += String.fromCharCode(byte)
  return btoa(bytes)
}
