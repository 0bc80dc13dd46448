// Users and groups of a #cloud-config, as far as they are made without cloud-init.

import type { Field } from './first-boot-field.ts'

export interface BootUser {
  name: string
  fullName: string
  primaryGroup: string | null
  groups: string[]
  home: string
  makeHome: boolean
  shell: string | null
  system: boolean
  uid: number | null
  /** crypt(3); null: none, so nobody logs in by password. */
  passwordHash: string | null
  locked: boolean
  /** Lines for sudoers, without the name. */
  sudo: string[]
  keys: string[]
}

const namePattern = /^[a-z_][a-z0-9_.-]{0,30}\$?$/i
const nameRule = 'a name of letters, digits, . _ and -'
const userKeys = [
  ...['name', 'gecos', 'primary_group', 'groups', 'homedir', 'no_create_home', 'shell', 'system', 'uid'],
  ...['passwd', 'hashed_passwd', 'lock_passwd', 'sudo', 'ssh_authorized_keys'],
] as const
const hints = { plain_text_passwd: 'give passwd, a hash (mkpasswd): what is given here is no secret' }
const most = 64

export function readUsers(field: Field): BootUser[] {
  const users: BootUser[] = []
  for (const each of field.list(most)) {
    // The image's usual user: there is none to be known of.
    if (each.value !== 'default') users.push(readUser(each))
  }
  return users
}

function readUser(field: Field): BootUser {
  const of = field.members(userKeys, hints)
  const line = (name: (typeof userKeys)[number], rule: string, pattern: RegExp) =>
    of[name]?.given ? (of[name] as Field).text(rule, pattern) : null
  const name = (of.name as Field).text(nameRule, namePattern)
  const groups = of.groups as Field
  const hash = (of.hashed_passwd as Field).given ? (of.hashed_passwd as Field) : (of.passwd as Field)
  if (hash.given && (typeof hash.value !== 'string' || !/^(\$[a-z0-9]+\$|[*!])[^:\s]*$/.test(hash.value)))
    hash.refuseUnseen('must be a hash as of mkpasswd, which begins with $')
  return {
    name,
    fullName: line('gecos', 'one line without :', /^[^:\n]*$/) ?? '',
    primaryGroup: line('primary_group', nameRule, namePattern),
    groups:
      typeof groups.value === 'string'
        ? splitNames(groups)
        : groups.list(most).map((each) => each.text(nameRule, namePattern)),
    home:
      line('homedir', 'an absolute path without ..', /^\/(?!(.*\/)?\.\.(\/|$))[^:\n]+$/) ??
      (name === 'root' ? '/root' : `/home/${name}`),
    makeHome: !(of.no_create_home as Field).boolean(false),
    shell: line('shell', 'an absolute path', /^\/[^:\n]+$/),
    system: (of.system as Field).boolean(false),
    uid: (of.uid as Field).given ? (of.uid as Field).integer(0, 65_533) : null,
    passwordHash: hash.given ? (hash.value as string) : null,
    locked: (of.lock_passwd as Field).boolean(true),
    sudo: readSudo(of.sudo as Field),
    keys: (of.ssh_authorized_keys as Field).texts(most, 'one line', /^[^\n]+$/),
  }
}

function readSudo(field: Field): string[] {
  if (!field.given || field.value === false) return []
  return field.texts(most, 'a rule of sudoers in one line, or false', /^[^\n]+$/)
}

/** A list of names, or of mappings from a name to its members. */
export function readGroups(field: Field): { name: string; members: string[] }[] {
  if (typeof field.value === 'string') return splitNames(field).map((name) => ({ name, members: [] }))
  return field.list(most).flatMap((each) => {
    if (typeof each.value === 'string') return [{ name: each.text(nameRule, namePattern), members: [] }]
    const names = Object.keys((each.value as object | null) ?? {})
    const members = each.members(names)
    return names.map((name) => {
      if (!namePattern.test(name)) each.refuse(`groups by ${nameRule}`)
      return { name, members: members[name]?.texts(most, nameRule, namePattern) ?? [] }
    })
  })
}

function splitNames(field: Field): string[] {
  const names = field
    .text()
    .split(/[\s,]+/)
    .filter((name) => name !== '')
  return names.every((name) => namePattern.test(name))
    ? names
    : field.refuse(`names with commas between, each ${nameRule}`)
}
