// Where an export goes: a file, packed as its name says, or stdout. The file gets its name when it is whole.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { DroverError } from '@drover/protocol/plain'
import type { Session } from './session.ts'

const packers: Record<string, string[]> = { gz: ['gzip', '-c'], xz: ['xz', '-c', '-T0'], zst: ['zstd', '-qc', '-T0'] }

export interface ArchiveSink {
  write: (chunk: Uint8Array) => Promise<void>
}

/** `-` is stdout. What `work` writes is there when it has ended well, and nothing otherwise. */
export async function intoArchive<Result>(
  session: Session,
  file: string,
  work: (sink: ArchiveSink) => Promise<Result>,
): Promise<Result> {
  const toStdout = file === '-'
  const draft = `${file}.part`
  const target = toStdout ? (session.terminal.stdout as unknown as Writable) : createWriteStream(draft)
  const { input, end, abandon } = packed(target, file)
  try {
    const failed = new Promise<never>((_, reject) => input.once('error', reject))
    failed.catch(() => {})
    const write = async (chunk: Uint8Array): Promise<void> => {
      if (!input.write(chunk)) await Promise.race([once(input, 'drain'), failed])
    }
    const result = await work({ write })
    await end(toStdout)
    if (!toStdout) await rename(draft, file)
    return result
  } catch (error) {
    abandon()
    if (toStdout) throw error
    target.destroy()
    if (!target.closed) await once(target, 'close').catch(() => {})
    await rm(draft, { force: true })
    throw error
  }
}

interface Packed {
  /** Where the bytes go in. */
  input: Writable
  end: (keep: boolean) => Promise<void>
  /** A packer that waits for more would keep the command from ending. */
  abandon: () => void
}

function packed(target: Writable, file: string): Packed {
  const finish = async (stream: Writable): Promise<void> => {
    stream.end()
    await once(stream, 'close')
  }
  const [program, ...args] = packers[/\.tar\.(gz|xz|zst)$/.exec(file)?.[1] ?? ''] ?? []
  if (program === undefined) {
    return { input: target, end: async (keep) => (keep ? undefined : finish(target)), abandon: () => {} }
  }
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdout.pipe(target)
  const ended = Promise.all([once(child, 'close'), once(target, 'close')])
  ended.catch(() => {})
  child.once('error', (error) => child.stdin.destroy(error))
  return {
    input: child.stdin,
    end: async () => {
      child.stdin.end()
      const [[status]] = await ended
      if (status !== 0) throw new DroverError('TRANSFER_FAILED', `pack ${file}: ${program} ended with ${status}`)
    },
    abandon: () => void child.kill('SIGKILL'),
  }
}
