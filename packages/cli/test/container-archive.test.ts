// The archive of a container: what is written is read again, a tar takes it apart, and damage is named.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ArchiveReader, ArchiveWriter, memberNames, parseFacts } from '../src/container-archive.ts'

async function written(disk: Buffer): Promise<Buffer> {
  const parts: Uint8Array[] = []
  const archive = new ArchiveWriter({ write: async (chunk) => void parts.push(chunk) })
  await archive.text(memberNames.facts, '{"format":1}')
  await archive.member(memberNames.image, 5, [Buffer.from('image')])
  await archive.member(memberNames.disk, disk.length, [disk.subarray(0, 100), disk.subarray(100)])
  await archive.end()
  return Buffer.concat(parts)
}

async function read(bytes: Buffer, pieces: number): Promise<Buffer> {
  const chunks = async function* () {
    for (let at = 0; at < bytes.length; at += pieces) yield bytes.subarray(at, at + pieces)
  }
  const archive = new ArchiveReader(chunks())
  await archive.text(memberNames.facts)
  for await (const _ of (await archive.member(memberNames.image)).content);
  const disk: Buffer[] = []
  for await (const part of (await archive.member(memberNames.disk)).content) disk.push(part)
  await archive.verify()
  return Buffer.concat(disk)
}

const disk = Buffer.from(Array.from({ length: 1500 }, (_, at) => at % 251))

t.test('what is written is read again, in whatever pieces it comes, and by tar', async (t) => {
  const bytes = await written(disk)
  for (const pieces of [1, 511, 512, 4096, bytes.length]) t.ok((await read(bytes, pieces)).equals(disk), `${pieces}`)
  const directory = t.testdir({})
  writeFileSync(join(directory, 'web.tar'), bytes)
  execFileSync('tar', ['-xf', 'web.tar'], { cwd: directory })
  execFileSync('sha256sum', ['--check', memberNames.sums], { cwd: directory })
  const empty = await written(Buffer.alloc(0))
  t.equal((await read(empty, 700)).length, 0)
})

t.test('what is damaged or something else is refused by name', async (t) => {
  const bytes = await written(disk)
  const changed = Buffer.from(bytes)
  changed[changed.indexOf(disk.subarray(0, 200)) + 7] = 0xff
  await t.rejects(read(changed, 4096), { code: 'TRANSFER_FAILED', message: /disk\.tar is damaged/ })
  await t.rejects(read(bytes.subarray(0, 3000), 4096), {
    code: 'BAD_REQUEST',
    message: /ends in the middle of disk\.tar/,
  })
  await t.rejects(read(Buffer.alloc(2048), 4096), { code: 'BAD_REQUEST', message: /no export of a container/ })
  t.throws(() => parseFacts('{"format":2}'), { message: /format is 2, this version reads 1/ })
  t.throws(() => parseFacts('{"format":1}'), { message: /lacks what a container is made of/ })
  t.throws(() => parseFacts('x'), { message: /not JSON/ })
})
