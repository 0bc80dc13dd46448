// `drover image export`: the root file system of an image as a tar archive here.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { withInterrupt } from '../follow-operation.ts'
import { parseName } from '../names.ts'
import { bar, shareOf } from '../output/bars.ts'
import { formatBytes } from '../output/sizes.ts'
import type { Session } from '../session.ts'

const packers: Record<string, string[]> = { gz: ['gzip', '-c'], xz: ['xz', '-c', '-T0'], zst: ['zstd', '-qc', '-T0'] }

export function register(group: Command): void {
  defineCommand(group, 'export', {
    summary: 'write an image as a tar archive',
    description: `Writes the root file system of an image as a tar archive, packed as the name of the file says (.tar, .tar.gz, .tar.xz,
.tar.zst); - is stdout. Its SHA-256 before packing is the image's digest, and checked. drover image import takes it again.`,
    examples: [
      ['drover image export bookworm', 'into bookworm.tar'],
      ['drover image export bookworm bookworm.tar.zst', 'packed'],
      ['drover image export web - | docker import - web', 'to another program'],
    ],
    json: 'print one JSON document {image, digest, file, bytes} on stdout and nothing else',
  })
    .argument('<image>', 'name of the image', parseName)
    .argument('[file]', 'where to; default: IMAGE.tar')
    .action(action(exportImage))
}

async function exportImage(session: Session, name: string, given: string | undefined): Promise<void> {
  const client = await session.client()
  const image = (await client.images()).find((each) => each.name === name)
  if (!image) throw new DroverError('IMAGE_NOT_FOUND', `export: there is no image ${name}`)
  const file = given ?? `${name}.tar`
  const toStdout = file === '-'
  const draft = `${file}.part`
  const hash = createHash('sha256')
  let bytes = 0
  try {
    await withInterrupt(
      session,
      () => [],
      async (signal) => {
        const target = toStdout ? (session.terminal.stdout as unknown as Writable) : createWriteStream(draft)
        const sink = packed(target, file)
        const failed = new Promise<never>((_, reject) => sink.input.once('error', reject))
        failed.catch(() => {})
        for await (const chunk of client.imageContent(name, { signal })) {
          hash.update(chunk)
          bytes += chunk.length
          if (!sink.input.write(chunk)) await Promise.race([once(sink.input, 'drain'), failed])
          const share = `${formatBytes(bytes)} of ${formatBytes(image.sizeBytes)}`
          session.output.statusLine.show(`${share} ${bar(shareOf(bytes, image.sizeBytes), 20)}`, `exporting ${name}`)
        }
        await sink.end(toStdout)
      },
    )
    const digest = `sha256:${hash.digest('hex')}`
    if (digest !== image.digest)
      throw new DroverError('TRANSFER_FAILED', `export ${name}: what came has digest ${digest}, not ${image.digest}`)
    if (!toStdout) await rename(draft, file)
  } catch (error) {
    if (!toStdout) await rm(draft, { force: true })
    throw error
  }
  session.output.statusLine.clear()
  if (toStdout) return
  session.output.result(
    { image: name, digest: image.digest, file, bytes },
    () => `wrote ${file}: ${formatBytes(bytes)} of image ${name}`,
  )
}

/** Where the tar goes in, and its end. */
function packed(target: Writable, file: string): { input: Writable; end: (keep: boolean) => Promise<void> } {
  const finish = async (stream: Writable): Promise<void> => {
    stream.end()
    await once(stream, 'close')
  }
  const [program, ...args] = packers[/\.tar\.(gz|xz|zst)$/.exec(file)?.[1] ?? ''] ?? []
  if (program === undefined) return { input: target, end: async (keep) => (keep ? undefined : finish(target)) }
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
  }
}
