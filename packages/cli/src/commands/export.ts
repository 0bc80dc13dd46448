// `drover export`: a container as one file here: what it is, its image and its disk.

import type { Container, Image, LaunchRequest } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { intoArchive } from '../archive-sink.ts'
import { type ArchiveFacts, ArchiveWriter, archiveFormat, memberNames } from '../container-archive.ts'
import { action, defineCommand } from '../define-command.ts'
import { followToSuccess, withInterrupt } from '../follow-operation.ts'
import { bar, shareOf } from '../output/bars.ts'
import { formatBytes } from '../output/sizes.ts'
import type { Session } from '../session.ts'
import { parseSnapshotPlace, type SnapshotPlace } from '../snapshot-place.ts'

export function register(program: Command): void {
  defineCommand(program, 'export', {
    summary: 'write a container into a file: its settings, its image and its disk',
    description: `Writes a container, or a snapshot of it, as one archive, packed as the name of the file says (.tar, .tar.gz, .tar.xz,
.tar.zst); - is stdout. In it are its settings, its image and its disk, with owners, attributes and all; drover import makes a
container of it, in this cluster or another. One that runs stands still only for what changed during the copying. Its host needs
room for its disk once more, twice while that is packed.`,
    examples: [
      ['drover export web', 'into web.tar'],
      ['drover export web backup.tar.zst', 'packed'],
      ['drover export web/before-upgrade - | ssh store "cat > web.tar"', 'a snapshot, to another program'],
    ],
    json: 'print one JSON document {container, snapshot, file, bytes, sha256} on stdout and nothing else; sha256 is the disk’s',
  })
    .argument('<container>', 'name of a container, or NAME/SNAPSHOT', parseSnapshotPlace)
    .argument('[file]', 'where to; default: NAME.tar')
    .action(action(exportContainer))
}

async function exportContainer(
  session: Session,
  { container: name, snapshot }: SnapshotPlace,
  given: string | undefined,
): Promise<void> {
  const client = await session.client()
  const [container, images] = await Promise.all([client.container(name), client.images()])
  const image = images.find(({ digest }) => digest === container.spec.image)
  if (!image) {
    const hint = `drover publish ${name} makes one of what it is now`
    throw new DroverError('IMAGE_NOT_FOUND', `export ${name}: its image ${container.spec.image} has no name; ${hint}`)
  }
  const file = given ?? `${name}.tar`
  const packing = await client.exportContainer(name, snapshot === null ? {} : { snapshot })
  const packed = await followToSuccess(session, packing, { wait: true })
  const [upload, host] = [String(packed.parameters.upload), String(packed.parameters.host)]
  const source = { container, image, snapshot, upload, host }
  // What can't be removed there now goes by itself in a day.
  const forget = () => client.removeUpload(upload, host).catch(() => undefined)
  const { bytes, sha256 } = await write(session, file, source).finally(forget)
  session.output.statusLine.clear()
  if (file === '-') return
  session.output.result({ container: name, snapshot, file, bytes, sha256 }, () => {
    const what = snapshot === null ? name : `${name}/${snapshot}`
    return `wrote ${file}: ${formatBytes(bytes)} of container ${what}`
  })
}

interface Source {
  container: Container
  image: Image
  snapshot: string | null
  upload: string
  host: string
}

/** How many bytes went into the archive, and the disk’s SHA-256. */
async function write(
  session: Session,
  file: string,
  { container, image, snapshot, upload, host }: Source,
): Promise<{ bytes: number; sha256: string }> {
  const client = await session.client()
  const { name } = container
  let bytes = 0
  const sha256 = await intoArchive(session, file, async (sink) => {
    const archive = new ArchiveWriter({
      write: (chunk) => {
        bytes += chunk.length
        return sink.write(chunk)
      },
    })
    return await withInterrupt(
      session,
      () => [],
      async (signal) => {
        const shown = (content: AsyncIterable<Uint8Array>, total: number, what: string) =>
          watched(session, content, total, `exporting ${name}: its ${what}`)
        await archive.text(memberNames.facts, `${JSON.stringify(factsOf(container, image, snapshot), null, 2)}\n`)
        const layer = client.imageContent(image.name, { signal })
        const digest = await archive.member(memberNames.image, image.sizeBytes, shown(layer, image.sizeBytes, 'image'))
        if (`sha256:${digest}` !== image.digest)
          throw new DroverError('TRANSFER_FAILED', `export ${name}: its image came as sha256:${digest}`)
        const disk = await sized((onSize) => client.uploadContent(upload, host, { signal, onSize }))
        const sum = await archive.member(memberNames.disk, disk.sizeBytes, shown(disk.content, disk.sizeBytes, 'disk'))
        await archive.end()
        return sum
      },
    )
  })
  return { bytes, sha256 }
}

function factsOf(container: Container, image: Image, snapshot: string | null): ArchiveFacts {
  const { name, spec, identity } = container
  return {
    format: archiveFormat,
    name,
    snapshot,
    exportedAtMs: Date.now(),
    uidBase: spec.security?.privileged ? 0 : identity.uidBase,
    image: { name: image.name, digest: image.digest, init: image.init },
    container: launchOf(container),
  }
}

/** Its profiles are in what it has: another cluster may have others of those names. */
function launchOf({ name, spec }: Container): LaunchRequest {
  const { requests, environment, labels } = spec
  const { limits, restart, autostart, stop, snapshots, devices, security, sysctls, rlimits, lifecycle, scheduling } =
    spec
  const said = {
    limits,
    restart,
    autostart,
    stop,
    snapshots,
    devices,
    security,
    sysctls,
    rlimits,
    lifecycle,
    scheduling,
  }
  const present = Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
  return { name, ...requests, ...present, environment, labels }
}

/** A content that tells its size with its first bytes. */
async function sized(
  open: (onSize: (sizeBytes: number) => void) => AsyncGenerator<Uint8Array>,
): Promise<{ sizeBytes: number; content: AsyncIterable<Uint8Array> }> {
  let sizeBytes = 0
  const chunks = open((size) => {
    sizeBytes = size
  })
  const first = await chunks.next()
  const content = async function* () {
    if (!first.done) yield first.value
    yield* chunks
  }
  return { sizeBytes, content: content() }
}

async function* watched(
  { output }: Session,
  content: AsyncIterable<Uint8Array>,
  total: number,
  doing: string,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of content) {
    bytes += chunk.length
    output.statusLine.show(
      `${doing}: ${formatBytes(bytes)} of ${formatBytes(total)} ${bar(shareOf(bytes, total), 20)}`,
      doing,
    )
    yield chunk
  }
}
