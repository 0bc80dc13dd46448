// The script of a first boot, run by the shells that images have; and how its record is followed.

import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Assignment, DroverError, type FirstBootOutcome, firstBootLog, firstBootPlan } from '@drover/protocol'
import { waitUntil } from '@drover/testkit/lab'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { FirstBootKeeper } from '../src/first-boot/keeper.ts'
import { firstBootScript } from '../src/first-boot/script.ts'
import type { AgentParts } from '../src/parts.ts'

const deadlineMs = 60_000
const shells = [['sh'], ['busybox', 'sh']].filter(
  ([name]) => spawnSync(name as string, ['-c', ':']).error === undefined,
)

/** The script, to be run here rather than in a container. */
function place(t: Test, userData: string) {
  const directory = temporaryDirectory(t, 'first-boot')
  const text = firstBootScript(firstBootPlan({ userData }), directory) as string
  const path = join(directory, 'run')
  writeFileSync(path, text.replaceAll(firstBootLog, join(directory, 'log')))
  const read = (name: string) => (existsSync(join(directory, name)) ? readFileSync(join(directory, name), 'utf8') : '')
  return { directory, path, read, end: () => /^(done|failed.*)$/m.exec(read('state'))?.[0] }
}

for (const [program, ...words] of shells as [string, ...string[]][]) {
  t.test(`${program}: commands in order and in one shell; what fails is named, and the rest follows`, async (t) => {
    const table: [string, string, RegExp][] = [
      [
        `runcmd: [cd /usr, pwd, [echo, "a  b", it's]]\nfinal_message: ready`,
        'done',
        /\n\/usr\n.*\na {2}b it's\n.*ready\n/s,
      ],
      [
        'runcmd: ["false", [sh, -c, exit 7], echo on]',
        'failed runcmd[0] ended with 1, runcmd[1] ended with 7',
        /\non\n/,
      ],
      ['runcmd: ["if"]', 'failed runcmd[0] ended with 2', /step runcmd\[0\]/],
      ['runcmd: [exit 3, echo never]', 'failed runcmd[0] ended with 3', /^(?!.*\nnever)/s],
      ['runcmd: [no-such-program]', 'failed runcmd[0] ended with 127', /step runcmd/],
    ]
    for (const [text, end, said] of table) {
      const script = place(t, `#cloud-config\n${text}\n`)
      const { stdout } = spawnSync(program, [...words, script.path, 'alone', '1'], { encoding: 'utf8' })
      t.equal(script.end(), end, text)
      t.match(stdout, said, text)
    }
  })
}

t.test('it lets go of whoever starts it, and runs once however often it is started', async (t) => {
  const script = place(t, '#cloud-config\nruncmd: ["sleep 0.2; echo ran"]\n')
  for (const _each of [1, 2, 3]) execFileSync('sh', [script.path, '1'])
  await waitUntil('its end', deadlineMs, async () => script.end() !== undefined)
  execFileSync('sh', [script.path, '2'])
  t.match(script.read('state'), /^running \d+ 1\nstep runcmd\[0\]\ndone\n$/)
  t.equal(script.read('log').match(/^ran$/gm)?.length, 1)
})

const userData = '#cloud-config\nruncmd: [ls]\n'
const assignment = {
  container: 'c7',
  role: 'owner',
  identity: { machineId: 'ab'.repeat(16) },
  spec: { firstBoot: { userData } },
} as unknown as Assignment
const root = '/var/lib/drover/first-boot/c7-abababababab'

/** A container with these files; what is executed in it puts `after` in. */
function inside(t: Test, files: Record<string, string>, after: Record<string, string> = {}, starts = 1) {
  const tree = new Map(Object.entries(files))
  const begun: string[][] = []
  const call = async (method: string, { path }: { path: string }) => {
    const text = tree.get(path)
    if (text === undefined) throw new DroverError('FILE_NOT_FOUND', path)
    const data = Buffer.from(text)
    return method === 'fileRead' ? { dataBase64: data.toString('base64'), sizeBytes: data.length } : {}
  }
  const exec = async ({ command }: { command: string[] }) => {
    begun.push(command)
    for (const [path, text] of Object.entries(after)) tree.set(path, text)
    return { exit: Promise.resolve(0), end() {}, close() {} }
  }
  const parts = {
    engine: { call, exec },
    store: { get: () => assignment },
    mirror: { get: () => ({ state: 'running', starts }) },
    log: { debug() {} },
  } as unknown as AgentParts
  const told: (FirstBootOutcome | null)[] = []
  const keeper = new FirstBootKeeper(parts, () => told.push(keeper.outcome('c7')))
  t.teardown(() => keeper.close())
  const ends = () =>
    waitUntil('the end of a first boot', deadlineMs, async () => ['done', 'failed'].includes(told.at(-1)?.state ?? ''))
  return { keeper, tree, begun, told, ends }
}

t.test('follow: begins what has yet to begin, and tells how it ends, once', async (t) => {
  const prepared = { [`${root}/record.json`]: '{}', [`${root}/run`]: '' }
  const boot = inside(t, prepared, { [`${root}/state`]: 'running 9 1\nstep runcmd[0]\n', '/proc/9': '' })
  boot.keeper.follow(assignment)
  boot.keeper.follow(assignment)
  await waitUntil('its step', deadlineMs, async () => boot.told.at(-1)?.message === 'runcmd[0]')
  boot.tree.set(`${root}/state`, 'running 9 1\nstep runcmd[0]\nfailed runcmd[0] ended with 1\n')
  await boot.ends()
  boot.keeper.follow(assignment)
  t.same(boot.begun, [['/bin/sh', `${root}/run`, '1']])
  t.same(
    boot.told.map((each) => `${each?.state} ${each?.message}`),
    ['running beginning', 'running runcmd[0]', 'failed runcmd[0] ended with 1'],
  )
})

t.test('follow: whatever became of it is told, and nothing is begun a second time', async (t) => {
  const state = (text: string) => ({ [`${root}/record.json`]: '{}', [`${root}/run`]: '', [`${root}/state`]: text })
  const cloud = { '/var/lib/cloud/seed/nocloud/meta-data': '' }
  const result = (errors: string[]) => ({
    ...cloud,
    '/run/cloud-init/result.json': JSON.stringify({ v1: { datasource: 'DataSourceNoCloud', errors } }),
  })
  const table: [string, Record<string, string>, Partial<FirstBootOutcome>][] = [
    ['of an earlier agent', state('running 9 2\ndone\n'), { state: 'done', by: 'drover', message: '' }],
    ['nothing to run', { [`${root}/record.json`]: '{}' }, { state: 'done', by: 'drover' }],
    [
      'a reboot in the middle',
      state('running 9 1\nstep packages\n'),
      { state: 'failed', message: 'cut off at packages by a stop or reboot' },
    ],
    ['killed', state('running 9 2\nstep runcmd[1]\n'), { state: 'failed', message: 'ended without a word: runcmd[1]' }],
    [
      'words that are none',
      state(`running 9 2\nfailed ${'\u0007x'.repeat(400)}\n`),
      { state: 'failed', message: ' x'.repeat(150) },
    ],
    ['by cloud-init', result([]), { state: 'done', by: 'cloud-init' }],
    [
      'cloud-init’s errors',
      result(['no way', 'to write']),
      { state: 'failed', by: 'cloud-init', message: 'no way; to write' },
    ],
  ]
  for (const [what, files, outcome] of table) {
    const boot = inside(t, files, {}, 2)
    boot.keeper.follow(assignment)
    await boot.ends()
    t.match(boot.told.at(-1), outcome, what)
    t.same(boot.begun, [])
  }
})
