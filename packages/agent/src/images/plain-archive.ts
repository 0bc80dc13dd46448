// From what somebody sent to a plain tar: gzip, xz, zstd, bzip2, or a squashfs. The programs that take foreign bytes apart run as nobody,
// without rights on the host, and may not write more than is said.

import { spawn } from 'node:child_process'
import { type FileHandle, open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { DroverError } from '@drover/protocol'
import { badArchive } from './tar-reader.ts'

interface Format {
  name: string
  magic: Buffer
  command: string[]
  package: string
}

const formats: Format[] = [
  { name: 'gzip', magic: Buffer.from([0x1f, 0x8b]), command: ['gzip', '-dc'], package: 'gzip' },
  { name: 'xz', magic: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]), command: ['xz', '-dc'], package: 'xz-utils' },
  { name: 'zstd', magic: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), command: ['zstd', '-dcq'], package: 'zstd' },
  { name: 'bzip2', magic: Buffer.from('BZh'), command: ['bzip2', '-dc'], package: 'bzip2' },
  {
    name: 'squashfs',
    magic: Buffer.from('hsqs'),
    command: ['sqfs2tar', '--no-skip', '/dev/stdin'],
    package: 'squashfs-tools-ng',
  },
]
const nobody = 65_534
const deadlineMs = 60 * 60_000
const keptErrorCharacters = 400

/** The path of the plain tar: `from` itself, or `to`, which holds then what `from` was packed of. */
export async function plainArchive(
  from: string,
  to: string,
  what: string,
  mostBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const source = await open(from, 'r')
  try {
    const head = Buffer.alloc(8)
    await source.read(head, 0, head.length, 0)
    const format = formats.find(({ magic }) => head.subarray(0, magic.length).equals(magic))
    if (!format) return from
    await unpack(source, format, to, what, mostBytes, signal)
    return to
  } finally {
    await source.close()
  }
}

async function unpack(
  source: FileHandle,
  { name, command, package: from }: Format,
  to: string,
  what: string,
  mostBytes: number,
  outer: AbortSignal,
): Promise<void> {
  const [program = '', ...args] = command
  // Before the program starts: Node throws away what nobody is reading when it ends.
  const target = await open(to, 'w', 0o600)
  const child = spawn(program, args, {
    stdio: [source.fd, 'pipe', 'pipe'],
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C' },
    cwd: '/',
    ...(process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {}),
  })
  const signal = AbortSignal.any([outer, AbortSignal.timeout(deadlineMs)])
  const kill = () => child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-keptErrorCharacters)
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(
        new DroverError('ENGINE_FAILED', `read ${what}: run ${program}: ${cause.message}; install ${from}`, { cause }),
      ),
    )
    child.once('close', resolve)
  })
  ended.catch(() => {})
  let bytes = 0
  const bounded = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      bytes += chunk.length
      if (bytes > mostBytes) throw badArchive(what, `unpacked it is larger than ${mostBytes} bytes, the limit`)
      yield chunk
    }
  }
  try {
    await pipeline(child.stdout ?? Readable.from([]), bounded, target.createWriteStream())
    const status = await ended
    if (signal.aborted) throw new DroverError('CANCELLED', `read ${what}: ended while it was unpacked`)
    if (status !== 0) throw badArchive(what, `${name}: ${said.trim() || `${program} ended with ${status}`}`)
  } finally {
    signal.removeEventListener('abort', kill)
    kill()
  }
}
