// The image of the workload rows: Debian as `drover image build debian` makes it, with the software of all rows beside it, so that nothing
// depends on what this machine happens to have. Services are Debian's own units, left as they are, but started only where a
// row wants them. The hosts of a laboratory have no way to a mirror: the image is made beforehand, once, and kept.

import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fillDebian, packLayer } from '@drover/agent'
import { installationRoot } from '@drover/cli/daemons'

export const workloadImage = 'matrix-workloads'

const packages = [
  ...['cron', 'nginx-light', 'redis-server', 'postgresql', 'postgresql-contrib', 'tmux'],
  ...['python3', 'nodejs', 'default-jre-headless', 'gcc', 'libc6-dev', 'make', 'openssh-client'],
]
const startedByRows = ['nginx', 'redis-server', 'postgresql', 'cron']
const kept = join(installationRoot, '.drover', 'matrix-layers')
const pulse = join(installationRoot, 'native', 'image-tools', 'build', 'pulse')

export interface WorkloadLayer {
  /** Where <image>.tar lies. */
  directory: string
  /** Why it can't be had; empty when it is there. */
  missing: string
}

/** Makes the image if it is not there yet: minutes, with the network. */
export async function makeWorkloadLayer(onProgress: (line: string) => void): Promise<WorkloadLayer> {
  const recipe = [packages.join(), startedByRows.join(), fillDebian.toString(), install.toString()].join('\n')
  const directory = join(kept, createHash('sha256').update(recipe).digest('hex').slice(0, 12))
  const target = join(directory, `${workloadImage}.tar`)
  if (existsSync(target)) return { directory, missing: '' }
  mkdirSync(directory, { recursive: true })
  const staged = mkdtempSync(join(directory, 'staging-'))
  try {
    onProgress(`making the image ${workloadImage}, once: Debian with ${packages.join(', ')}`)
    const rootfs = join(staged, 'rootfs')
    mkdirSync(rootfs, { mode: 0o755 })
    await fillDebian(rootfs, packages, () => {}, new AbortController().signal)
    install(rootfs)
    await packLayer(rootfs, join(staged, 'layer.tar'), 'kept')
    renameSync(join(staged, 'layer.tar'), target)
    return { directory, missing: '' }
  } catch (error) {
    const missing = (error as Error).message.slice(0, 300)
    onProgress(`the image ${workloadImage} can't be made here: ${missing}`)
    return { directory, missing }
  } finally {
    rmSync(staged, { recursive: true, force: true })
  }
}

function install(rootfs: string): void {
  copyFileSync(pulse, join(rootfs, 'usr/local/bin/pulse'))
  const units = join(rootfs, 'etc/systemd/system')
  const wants = join(units, 'multi-user.target.wants')
  for (const unit of readdirSync(wants)) {
    if (startedByRows.some((service) => unit.startsWith(service))) rmSync(join(wants, unit))
  }
  writeFileSync(join(units, 'pulse.service'), '[Service]\nExecStart=/usr/local/bin/pulse 7000\nRestart=always\n')
  symlinkSync('../pulse.service', join(wants, 'pulse.service'))
}
