// Before the first start: users, keys, files and the time zone are written into the disk, and with them the script for the rest. What
// depends on what was there (accounts, files that are appended to) is decided and recorded first, so that an agent that dies in
// the middle, and is followed by another, does not do it twice.

import { type Assignment, DroverError, type FirstBootPlan } from '@drover/protocol'
import { type AccountFiles, accountOf, groupIdOf, withAccounts } from './accounts.ts'
import type { Disk } from './disk.ts'
import { firstBootPlace } from './place.ts'
import { firstBootScript } from './script.ts'

interface Record {
  accounts: AccountFiles
  /** Of files that are appended to: how long they were. */
  sizes: { [path: string]: number }
  /** Users whose homes are to be made. */
  homes: string[]
}

const accountPaths = {
  passwd: '/etc/passwd',
  group: '/etc/group',
  shadow: '/etc/shadow',
  gshadow: '/etc/gshadow',
} as const
const sudoersDirectory = '/etc/sudoers.d'

export async function writeFirstBoot(disk: Disk, assignment: Assignment, plan: FirstBootPlan): Promise<void> {
  const place = firstBootPlace(assignment)
  await disk.makeDirectories(place.directory, { mode: 0o700, uid: 0, gid: 0 })
  const record = await decided(disk, place.record, plan)
  await writeAccounts(disk, plan, record)
  await writeFiles(disk, plan, record)
  if (plan.timezone !== null) await setTimeZone(disk, plan.timezone)
  const own = { mode: 0o700, uid: 0, gid: 0 }
  for (const { name, text } of plan.scripts) await disk.write(`${place.directory}/${name}`, text, own)
  const script = firstBootScript(plan, place.directory)
  if (script !== null) await disk.write(place.script, script, own)
}

async function decided(disk: Disk, path: string, plan: FirstBootPlan): Promise<Record> {
  const before = parse(await disk.text(path))
  if (before !== null) return before
  const bash = (await disk.has('/bin/bash')) ? '/bin/bash' : '/bin/sh'
  const files: AccountFiles = {
    passwd: (await disk.text(accountPaths.passwd)) ?? 'root:x:0:0:root:/root:/bin/sh\n',
    group: (await disk.text(accountPaths.group)) ?? 'root:x:0:\n',
    shadow: await disk.text(accountPaths.shadow),
    gshadow: await disk.text(accountPaths.gshadow),
  }
  const sizes: Record['sizes'] = {}
  for (const { path: file, append } of plan.files) {
    if (append) sizes[file] ??= (await disk.stat(file))?.sizeBytes ?? 0
  }
  const accounts = withAccounts(files, plan, bash)
  const homes: string[] = []
  for (const { name, makeHome } of plan.users) {
    if (makeHome && !(await disk.has(accountOf(accounts.passwd, name)?.home ?? '/'))) homes.push(name)
  }
  const record = { accounts, sizes, homes }
  await disk.write(path, JSON.stringify(record), { mode: 0o600, uid: 0, gid: 0 })
  return record
}

/** Null: none, or one that was cut off as it was written, before anything else was. */
function parse(text: string | null): Record | null {
  try {
    return text === null ? null : JSON.parse(text)
  } catch {
    return null
  }
}

async function writeAccounts(disk: Disk, plan: FirstBootPlan, { accounts, homes }: Record): Promise<void> {
  if (plan.users.length > 0 || plan.groups.length > 0) {
    for (const name of ['group', 'gshadow', 'passwd', 'shadow'] as const) {
      const text = accounts[name]
      if (text !== null) await disk.write(accountPaths[name], text)
    }
  }
  for (const name of homes) await makeHomeOf(disk, accounts, name)
  for (const { name, keys } of plan.users) await addKeys(disk, accounts, name, keys)
  await addKeys(disk, accounts, 'root', plan.rootKeys)
  const rules = plan.users.flatMap(({ name, sudo }) => sudo.map((rule) => `${name} ${rule}\n`))
  if (rules.length === 0) return
  await disk.makeDirectories(sudoersDirectory, { mode: 0o750, uid: 0, gid: 0 })
  await disk.write(`${sudoersDirectory}/90-drover-users`, rules.join(''), { mode: 0o440, uid: 0, gid: 0 })
}

async function makeHomeOf(disk: Disk, { passwd }: AccountFiles, name: string): Promise<void> {
  const account = accountOf(passwd, name)
  if (!account) return
  const { uid, gid, home } = account
  await disk.makeDirectories(home, { mode: 0o755, uid, gid })
  for (const file of await disk.files('/etc/skel')) {
    const content = await disk.read(`/etc/skel/${file}`)
    if (content !== null) await disk.write(`${home}/${file}`, content, { mode: 0o644, uid, gid })
  }
}

async function addKeys(disk: Disk, { passwd }: AccountFiles, name: string, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return
  const { uid, gid, home } = accountOf(passwd, name) ?? { uid: 0, gid: 0, home: '/root' }
  await disk.makeDirectories(home, { mode: name === 'root' ? 0o700 : 0o755, uid, gid })
  await disk.makeDirectories(`${home}/.ssh`, { mode: 0o700, uid, gid })
  const path = `${home}/.ssh/authorized_keys`
  const before = (await disk.text(path)) ?? ''
  const there = new Set(before.split('\n'))
  const missing = keys.filter((key) => !there.has(key))
  if (missing.length === 0) return
  const added = `${before === '' || before.endsWith('\n') ? '' : '\n'}${missing.map((key) => `${key}\n`).join('')}`
  await disk.write(path, added, { mode: 0o600, uid, gid }, Buffer.byteLength(before))
}

async function writeFiles(disk: Disk, { files }: FirstBootPlan, { accounts, sizes }: Record): Promise<void> {
  const ends = { ...sizes }
  for (const [at, { path, contentBase64, user, group, mode, append }] of files.entries()) {
    const uid = accountOf(accounts.passwd, user)?.uid
    const gid = groupIdOf(accounts.group, group)
    if (uid === undefined || gid === undefined)
      throw new DroverError(
        'BAD_REQUEST',
        `write_files[${at}].owner: ${user}:${group}: the image has no such user or group`,
      )
    const content = Buffer.from(contentBase64, 'base64')
    const directory = path.slice(0, path.lastIndexOf('/'))
    if (directory !== '') await disk.makeDirectories(directory)
    const offset = append ? (ends[path] ?? 0) : 0
    await disk.write(path, content, { mode, uid, gid }, offset)
    if (append) ends[path] = offset + content.length
  }
}

async function setTimeZone(disk: Disk, zone: string): Promise<void> {
  const file = `/usr/share/zoneinfo/${zone}`
  const content = await disk.read(file)
  if (content === null) throw new DroverError('BAD_REQUEST', `timezone: ${zone}: the image has no ${file}`)
  const there = await disk.stat('/etc/localtime', false)
  if (there?.type === 'file') await disk.write('/etc/localtime', content)
  else await disk.link('/etc/localtime', file)
  await disk.write('/etc/timezone', `${zone}\n`, { mode: 0o644, uid: 0, gid: 0 })
}
