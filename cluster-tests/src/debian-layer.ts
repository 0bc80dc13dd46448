// Debian as drover's own recipe makes it (`drover image build debian`: mmdebstrap, systemd, ssh), as a ready-made layer. The hosts of a
// laboratory have no way to a mirror, so it is made on the machine, beforehand and once, and kept for every test and benchmark;
// beside it lie packages that it lacks, as a repository that apt inside can be pointed at.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fillDebian, packLayer } from '@drover/agent'
import { labsDirectory, run } from '@drover/testkit/lab'

/** Where layers are kept from run to run: of this checkout, or of all that DROVER_LAYERS names the same directory for. */
export const keptLayers = process.env.DROVER_LAYERS ?? join(labsDirectory, '../layers')
/** Another recipe makes another image: all that is made of it lies in a directory of that name. */
export const recipeDigest = createHash('sha256').update(fillDebian.toString()).digest('hex').slice(0, 12)
export const debianDirectory = join(keptLayers, recipeDigest)

/** For the story of a whole system: the same image with cloud-init in it, which does nothing where it is told nothing. */
const storyPackages = ['cloud-init']
export const storyDirectory = join(debianDirectory, `with-${storyPackages.join('-')}`)

/** What the repository has, with what they need beyond the image: cron, SysV's init in place of systemd, and OpenRC beside it. */
const repositoryPackages = [
  ...['cron', 'cron-daemon-common'],
  ...['sysvinit-core', 'initscripts', 'sysv-rc', 'insserv', 'startpar'],
  ...['openrc', 'libeinfo1', 'librc1'],
]
const downloadDeadlineMs = 120_000

/** Makes the layer `debian.tar` in debianDirectory unless it is there: minutes, with the network. Why it can't be, or null. */
export async function makeDebianLayer(onProgress: (line: string) => void = () => {}): Promise<string | null> {
  if (existsSync(join(debianDirectory, 'debian.tar'))) return null
  onProgress('making the image debian, once')
  return await makeLayer(debianDirectory, 'debian', (rootfs) =>
    fillDebian(rootfs, [], () => {}, new AbortController().signal),
  )
}

/** The same for the story's image, in storyDirectory. */
export async function makeStoryLayer(): Promise<string | null> {
  if (existsSync(join(storyDirectory, 'debian.tar'))) return null
  return await makeLayer(storyDirectory, 'debian', (rootfs) =>
    fillDebian(rootfs, storyPackages, () => {}, new AbortController().signal),
  )
}

/** Makes <name>.tar in `directory` of what `fill` puts into an empty one. Why it can't be, or null. */
export async function makeLayer(
  directory: string,
  name: string,
  fill: (rootfs: string) => Promise<void>,
): Promise<string | null> {
  mkdirSync(directory, { recursive: true })
  const staged = mkdtempSync(join(directory, 'staging-'))
  try {
    const rootfs = join(staged, 'rootfs')
    mkdirSync(rootfs, { mode: 0o755 })
    await fill(rootfs)
    await packLayer(rootfs, join(staged, 'layer.tar'), 'kept')
    renameSync(join(staged, 'layer.tar'), join(directory, `${name}.tar`))
    return null
  } catch (error) {
    return (error as Error).message.slice(0, 300)
  } finally {
    rmSync(staged, { recursive: true, force: true })
  }
}

/** A flat repository for `deb [trusted=yes] URL ./`, made once: its directory, or why there is none. */
export async function makeRepository(): Promise<{ directory: string | null; reason: string }> {
  const directory = join(debianDirectory, 'repository')
  if (existsSync(join(directory, 'Packages'))) return { directory, reason: '' }
  mkdirSync(directory, { recursive: true })
  const { code, stderr } = await run(
    'sh',
    ['-c', `cd "$0" && apt-get download -o APT::Sandbox::User=root ${repositoryPackages.join(' ')}`, directory],
    { deadlineMs: downloadDeadlineMs },
  )
  if (code !== 0) return { directory: null, reason: `apt-get download: ${stderr.trim().split('\n').at(-1)}` }
  const files = readdirSync(directory).filter((file) => file.endsWith('.deb'))
  writeFileSync(join(directory, 'Packages'), files.map((file) => describe(directory, file)).join('\n'))
  return { directory, reason: '' }
}

/** A package's own description with where it is: what apt reads of a repository. */
function describe(directory: string, file: string): string {
  const content = readFileSync(join(directory, file))
  const fields = execFileSync('dpkg-deb', ['-f', join(directory, file)], { encoding: 'utf8' }).trim()
  const digest = createHash('sha256').update(content).digest('hex')
  return `${fields}\nFilename: ./${file}\nSize: ${content.length}\nSHA256: ${digest}\n`
}
