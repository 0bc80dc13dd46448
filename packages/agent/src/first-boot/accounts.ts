// Pure: users and groups put into the texts of /etc/passwd, group, shadow and gshadow, as useradd would (passwd(5), group(5), shadow(5)).
// Who is there already stays as he is, but for the groups that he is to be in and a new password hash.

import { type BootUser, DroverError, type FirstBootPlan } from '@drover/protocol'

/** Null: the image has no such file. */
export interface AccountFiles {
  passwd: string
  group: string
  shadow: string | null
  gshadow: string | null
}

const firstUserId = 1000
const lastUserId = 59_999
const firstSystemId = 100

export function withAccounts(
  files: AccountFiles,
  { groups, users }: Pick<FirstBootPlan, 'groups' | 'users'>,
  usualShell: string,
): AccountFiles {
  const tables = {
    passwd: rows(files.passwd),
    group: rows(files.group),
    shadow: files.shadow === null ? null : rows(files.shadow),
    gshadow: files.gshadow === null ? null : rows(files.gshadow),
  }
  for (const { name } of groups) ensureGroup(tables, name, false)
  for (const user of users) {
    const own = rowOf(tables.passwd, user.name)
    if (own === undefined) addUser(tables, user, usualShell)
    else if (user.passwordHash !== null) setPassword(tables, own, passwordField(user))
    for (const group of user.groups) join(tables, group, user.name)
  }
  for (const { name, members } of groups) for (const member of members) join(tables, name, member)
  const text = (table: string[][] | null) => table && `${table.map((row) => row.join(':')).join('\n')}\n`
  return {
    passwd: text(tables.passwd) as string,
    group: text(tables.group) as string,
    shadow: text(tables.shadow),
    gshadow: text(tables.gshadow),
  }
}

export interface Account {
  uid: number
  gid: number
  home: string
}

/** Undefined: there is nobody of that name. */
export function accountOf(passwd: string, name: string): Account | undefined {
  const row = rowOf(rows(passwd), name)
  return row && { uid: Number(row[2]), gid: Number(row[3]), home: row[5] ?? '/' }
}

export function groupIdOf(group: string, name: string): number | undefined {
  const row = rowOf(rows(group), name)
  return row && Number(row[2])
}

interface Tables {
  passwd: string[][]
  group: string[][]
  shadow: string[][] | null
  gshadow: string[][] | null
}

const rows = (text: string) =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(':'))
const rowOf = (table: string[][], name: string) => table.find(([first]) => first === name)

function addUser(tables: Tables, user: BootUser, usualShell: string): void {
  const { name, uid: wanted, primaryGroup, system, fullName, home } = user
  const uid = wanted ?? freeId(tables, system)
  const taken = tables.passwd.find((row) => Number(row[2]) === uid)
  if (taken) throw new DroverError('BAD_REQUEST', `users: uid ${uid} for ${name} is already that of ${taken[0]}`)
  const gid = ensureGroup(tables, primaryGroup ?? name, system, primaryGroup === null ? uid : undefined)
  const row = [name, 'x', String(uid), String(gid), fullName, home, user.shell ?? usualShell]
  tables.passwd.push(row)
  tables.shadow?.push([name, '!', '', '0', '99999', '7', '', '', ''])
  setPassword(tables, row, passwordField(user))
}

/** An exclamation mark locks the password, not the way in by key. */
const passwordField = ({ passwordHash, locked }: BootUser) => {
  const hash = passwordHash ?? ''
  return hash === '' || (locked && !hash.startsWith('!')) ? `!${hash}` : hash
}

function setPassword({ shadow }: Tables, row: string[], field: string): void {
  const secret = shadow && rowOf(shadow, row[0] as string)
  if (secret) secret[1] = field
  else row[1] = field
}

function ensureGroup(tables: Tables, name: string, system: boolean, wanted?: number): number {
  const there = rowOf(tables.group, name)
  if (there) return Number(there[2])
  const isFree = wanted !== undefined && !tables.group.some((row) => Number(row[2]) === wanted)
  const gid = isFree ? wanted : freeId(tables, system)
  tables.group.push([name, 'x', String(gid), ''])
  tables.gshadow?.push([name, '!', '', ''])
  return gid
}

function join(tables: Tables, group: string, user: string): void {
  ensureGroup(tables, group, false)
  for (const table of [tables.group, tables.gshadow]) {
    const row = table && rowOf(table, group)
    if (!row) continue
    const members = (row[3] ?? '').split(',').filter((each) => each !== '')
    if (!members.includes(user)) row[3] = [...members, user].join(',')
  }
}

/** Free as a uid and as a gid, so that a user's own group has his number. */
function freeId({ passwd, group }: Tables, system: boolean): number {
  const taken = new Set([...passwd, ...group].map((row) => Number(row[2])))
  const [first, last] = system ? [firstSystemId, firstUserId - 1] : [firstUserId, lastUserId]
  for (let id = first; id <= last; id++) if (!taken.has(id)) return id
  throw new DroverError('LIMIT_REACHED', `users: no id from ${first} to ${last} is free`)
}
