// Where an export goes: whole or not at all, and nothing that keeps the command from ending.

import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { intoArchive } from '../src/archive-sink.ts'
import type { Session } from '../src/session.ts'

// Only stdout is looked at, and not for a file.
const session = {} as Session
const deadlineMs = 60_000

t.test('the file is there when all of it is, packed as its name says', async (t) => {
  const directory = t.testdir({})
  const file = join(directory, 'web.tar.gz')
  t.equal(await intoArchive(session, file, ({ write }) => write(Buffer.from('words')).then(() => 7)), 7)
  t.equal(execFileSync('gzip', ['-dc', file], { encoding: 'utf8' }), 'words')
  t.same(readdirSync(directory), ['web.tar.gz'])
})

t.test('half of it leaves no file, and no packer that waits for the rest', async (t) => {
  const directory = t.testdir({})
  for (const name of ['web.tar', 'web.tar.gz']) {
    const work = async ({ write }: { write: (chunk: Uint8Array) => Promise<void> }) => {
      await write(Buffer.from('words'))
      throw new Error('the host is gone')
    }
    await t.rejects(intoArchive(session, join(directory, name), work), { message: 'the host is gone' })
    t.same(readdirSync(directory), [])
  }
  const until = Date.now() + deadlineMs
  while (process.getActiveResourcesInfo().includes('ProcessWrap') && Date.now() < until) await delay(20)
  t.notOk(process.getActiveResourcesInfo().includes('ProcessWrap'))
})

t.test('a directory that isn’t there is named', async (t) => {
  const directory = t.testdir({})
  for (const name of ['none/web.tar', 'none/web.tar.gz']) {
    const pieces = async ({ write }: { write: (chunk: Uint8Array) => Promise<void> }) => {
      for (let piece = 0; piece < 100; piece++) await write(Buffer.alloc(65_536, String(Math.random())))
    }
    await t.rejects(intoArchive(session, join(directory, name), pieces), { code: 'ENOENT' })
  }
})
