// `drover image refresh`: images are fetched, built or published again from where they came, under the same name. Containers keep the
// layer that they were made of.

import type { DroverClient } from '@drover/client'
import type { Image, ImageBuildRequest, ImageOrigin, Operation } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { complain, UsageError } from '../failure.ts'
import { followToSuccess } from '../follow-operation.ts'
import { parseNames, parseSha256 } from '../names.ts'
import { sendArchive } from '../send-archive.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

interface RefreshFlags extends WaitFlags {
  all?: boolean
  sha256?: string
}

interface Refreshed {
  image: string
  /** null: it isn’t waited for. */
  changed: boolean | null
  digest: string
  operation: string | null
}

export function register(group: Command): void {
  const command = defineCommand(group, 'refresh', {
    summary: 'fetch images again from where they came',
    description: `Imports an image again from the file or URL that it came from, builds it again by its recipe, or publishes its container again, under
the same name. A server that has nothing newer is asked only that. Containers of it keep what they were made of; the next ones get
the new one. What was said by image set stays. Other names of it stand for the old one until they are refreshed as well.`,
    examples: [
      ['drover image refresh bookworm', 'already up to date, or the new digest'],
      ['drover image refresh --all', 'all that came from a URL or a recipe, e.g. each night by a timer'],
    ],
  })
    .argument('[images...]', 'names of images', parseNames)
    .option('--all', 'every image that came from a URL or a recipe')
    .option('--sha256 <hex>', 'of the archive at the URL: anything else is refused', parseSha256)
  addWaitOptions(command).action(action(refresh))
}

async function refresh(session: Session, names: string[] | undefined, flags: RefreshFlags): Promise<number> {
  const client = await session.client()
  const images = new Map((await client.images()).map((image) => [image.name, image]))
  const chosen = flags.all === true ? fetchable([...images.values()]) : (names ?? [])
  if (flags.all !== true && chosen.length === 0) throw new UsageError('which image?', 'name some, or say --all')
  if (flags.sha256 !== undefined && chosen.length !== 1) throw new UsageError('--sha256 is of one image')
  const done: Refreshed[] = []
  for (const name of chosen) {
    try {
      const image = images.get(name)
      if (!image) throw new DroverError('IMAGE_NOT_FOUND', `refresh image ${name}: there is none`)
      done.push(await refreshOne(session, client, image, flags))
    } catch (thrown) {
      const ofThisOne = thrown instanceof DroverError || thrown instanceof UsageError
      if (chosen.length === 1 || !ofThisOne) throw thrown
      complain(session.terminal, thrown.message, thrown instanceof UsageError ? thrown.hint : null)
    }
  }
  session.output.result(done, () => done.map(describe).join('\n'))
  return done.length === chosen.length ? 0 : 1
}

const describe = ({ image, changed, digest, operation }: Refreshed): string => {
  if (changed === null) return `refreshing image ${image}, operation ${operation}`
  return changed ? `image ${image} is ${digest} now` : `image ${image} is already up to date`
}

const fetchable = (images: Image[]): string[] =>
  images
    .filter(({ origin }) => origin?.kind === 'recipe' || (origin?.kind === 'archive' && origin.from.kind === 'url'))
    .map(({ name }) => name)
    .sort()

async function refreshOne(
  session: Session,
  client: DroverClient,
  { name, digest, origin }: Image,
  flags: RefreshFlags,
): Promise<Refreshed> {
  if (origin === undefined) {
    throw new DroverError('WRONG_STATE', `refresh image ${name}: it isn’t known where it came from; import it again`)
  }
  const operation = await again(session, client, name, origin, flags)
  if (operation === null) return { image: name, changed: false, digest, operation: null }
  const now = operation.state === 'done' ? operation.progress.message : digest
  const changed = operation.state === 'done' ? now !== digest : null
  return { image: name, changed, digest: now, operation: operation.id }
}

/** null: there is nothing newer. */
async function again(
  session: Session,
  client: DroverClient,
  name: string,
  origin: ImageOrigin,
  flags: RefreshFlags,
): Promise<Operation | null> {
  const { said = {} } = origin
  switch (origin.kind) {
    case 'recipe': {
      const recipe = origin.recipe as ImageBuildRequest['recipe']
      return followToSuccess(session, await client.buildImage({ recipe, name, properties: said }), flags)
    }
    case 'container': {
      const { container, snapshot } = origin
      const request = { image: name, properties: said, ...(snapshot === null ? {} : { snapshot }) }
      return followToSuccess(session, await client.publish(container, request), flags)
    }
    case 'archive': {
      const { from, init } = origin
      const source =
        from.kind === 'file'
          ? { source: from.path, rootfs: from.rootfs ?? undefined }
          : { source: from.url, known: { etag: from.etag, modified: from.modified } }
      const sent = await sendArchive(session, client, { name, init, said, sha256: flags.sha256, ...source }, flags)
      return sent?.operation ?? null
    }
  }
}
