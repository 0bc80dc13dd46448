// `drover import`: a container of an archive that `drover export` has written.

import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { ContainerImportRequest, Operation } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { type ArchiveFacts, ArchiveReader, memberNames, parseFacts } from '../container-archive.ts'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { followToSuccess, withInterrupt } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { bar, shareOf } from '../output/bars.ts'
import { formatBytes } from '../output/sizes.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface ImportFlags extends WaitFlags {
  host?: string
  address?: string
  start: boolean
}

const unpackers: Record<string, string[]> = { gz: ['gzip', '-dc'], xz: ['xz', '-dc'], zst: ['zstd', '-dqc'] }

export function register(program: Command): void {
  const command = defineCommand(program, 'import', {
    summary: 'make a container of a file that drover export has written',
    description: `Makes a container with the settings and the disk in an archive of drover export, and starts it. It gets its own machine
id, addresses and uids, as a copy does; its image is taken from the archive when the cluster lacks it. What arrives is checked by
the SHA-256 sums in the archive before anything is made of it.`,
    examples: [
      ['drover import web.tar', 'by its old name'],
      ['drover import backup.tar.zst web-2 --host b --no-start', 'by another name, on host b, left stopped'],
      ['ssh store cat web.tar | drover import - web', 'from another program'],
    ],
  })
    .argument('<file>', 'the archive, - for stdin')
    .argument('[name]', 'name of the container; default: that in the archive', parseName)
    .option('--host <host>', 'on this host; default: the scheduler chooses', parseName)
    .option('--address <ipv4>', 'this address, free and in the containers’ network (default: the next one)')
    .option('--no-start', 'leave it stopped')
  addWaitOptions(command).action(action(importContainer))
}

async function importContainer(
  session: Session,
  file: string,
  given: string | undefined,
  flags: ImportFlags,
): Promise<void> {
  const client = await session.client()
  const { operation, name, sizeBytes } = await withInterrupt(
    session,
    () => [],
    async (signal) => {
      const archive = new ArchiveReader(await contentOf(session, file))
      const facts = parseFacts(await archive.text(memberNames.facts))
      const name = given ?? facts.name
      if ((await client.containers({ signal })).some((each) => each.name === name))
        throw new DroverError('NAME_TAKEN', `import ${name}: a container of that name exists`)
      const image = await imageFor(session, archive, facts, signal)
      const disk = await archive.member(memberNames.disk)
      const sent = await client.upload(disk.content, {
        signal,
        ...(flags.host === undefined ? {} : { host: flags.host }),
        onBytes: (bytes) => show(session, `importing ${name}: its disk`, bytes, disk.sizeBytes),
      })
      await archive.verify()
      const request: ContainerImportRequest = {
        container: { ...facts.container, name, image, ...placeOf(flags) },
        disk: { upload: sent.upload, host: sent.host, sha256: sent.sha256, uidBase: facts.uidBase, name: facts.name },
        start: flags.start,
      }
      session.output.statusLine.clear()
      return { name, sizeBytes: sent.sizeBytes, operation: await begin(session, request) }
    },
  )
  const ended = await followToSuccess(session, operation, flags)
  // With --no-wait its host still reads it: then it goes by itself in a day.
  const { disk } = ended.parameters as { disk?: { upload: string; host: string } }
  if (ended.state === 'done' && disk) await client.removeUpload(disk.upload, disk.host).catch(() => undefined)
  session.output.result(ended, () =>
    ended.state === 'running'
      ? `importing ${name}, operation ${ended.id}`
      : `imported ${name}: ${formatBytes(sizeBytes)} of disk, ${ended.progress.message}`,
  )
}

async function begin(session: Session, request: ContainerImportRequest): Promise<Operation> {
  return (await session.client()).importContainer(request)
}

/** The name of its image here: of one with that digest, or of the one that is made of the archive's. */
async function imageFor(
  session: Session,
  archive: ArchiveReader,
  { image }: ArchiveFacts,
  signal: AbortSignal,
): Promise<string> {
  const client = await session.client()
  const { content, sizeBytes } = await archive.member(memberNames.image)
  const images = await client.images({ signal })
  const here = images.find(({ digest }) => digest === image.digest)
  if (here) {
    let read = 0
    for await (const chunk of content) {
      read += chunk.length
      show(session, `reading past image ${here.name}`, read, sizeBytes)
    }
    return here.name
  }
  const taken = images.some(({ name }) => name === image.name)
  const name = taken ? `${image.name.slice(0, 40)}-${image.digest.slice(7, 19)}` : image.name
  // Made of the same archive before.
  const known = images.find((each) => each.name === name)
  const onBytes = (bytes: number) => show(session, `importing image ${name}`, bytes, sizeBytes)
  const { upload, host, sha256 } = await client.upload(content, { signal, onBytes })
  if (`sha256:${sha256}` !== image.digest)
    throw new DroverError(
      'TRANSFER_FAILED',
      `import image ${name}: the archive has sha256:${sha256}, not ${image.digest}`,
    )
  if (known) return name
  const made = await client.importImage({ name, upload, host, sha256, init: image.init })
  await followToSuccess(session, made, { wait: true })
  return name
}

function show({ output }: Session, doing: string, bytes: number, total: number): void {
  output.statusLine.show(
    `${doing}: ${formatBytes(bytes)} of ${formatBytes(total)} ${bar(shareOf(bytes, total), 20)}`,
    doing,
  )
}

/** Unpacked as the name of the file says. */
async function contentOf(session: Session, file: string): Promise<AsyncIterable<Uint8Array>> {
  if (file === '-') return session.terminal.stdin as AsyncIterable<Uint8Array>
  const info = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${file}: ${error.code === 'ENOENT' ? 'there is no such file' : error.message}`)
  })
  if (!info.isFile()) throw new UsageError(`${file} is not a file`)
  const [program, ...args] = unpackers[/\.tar\.(gz|xz|zst)$/.exec(file)?.[1] ?? ''] ?? []
  return program === undefined ? createReadStream(file, { highWaterMark: 1 << 20 }) : unpack(program, args, file)
}

async function* unpack(program: string, args: string[], file: string): AsyncGenerator<Uint8Array> {
  const child = spawn(program, [...args, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>((done, fail) => child.once('error', fail).once('close', done))
  ended.catch(() => {})
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer
    const status = await ended
    if (status !== 0) throw new DroverError('BAD_REQUEST', `unpack ${file}: ${program} ended with ${status}`)
  } finally {
    child.kill('SIGKILL')
  }
}

const placeOf = ({ host, address }: ImportFlags): { host?: string; address?: string } => ({
  ...(host === undefined ? {} : { host }),
  ...(address === undefined ? {} : { address }),
})
