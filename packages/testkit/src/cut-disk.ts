// A disk that shows what a power cut would leave of it: a file with an ext4 in it. A copy of that file has what was written to the disk until then,
// and nothing that was only in the kernel's memory.

import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './temporary.ts'

const diskBytes = 96 << 20

interface TestWithTeardown {
  teardown(end: () => void | Promise<void>): unknown
}

export interface CutDisk {
  /** Where it is mounted, for the time of the test. */
  place: string
  /** Mounts what is left of it if the power is cut now; returns where. */
  cut: () => string
}

export function makeCutDisk(t: TestWithTeardown): CutDisk {
  const directory = temporaryDirectory(t, 'cut-disk')
  const disk = join(directory, 'disk')
  run('truncate', '-s', String(diskBytes), disk)
  run('mkfs.ext4', '-q', '-F', disk)
  let cuts = 0
  const cut = () => {
    cuts += 1
    return leftOfDisk(t, disk, join(directory, `after-${cuts}`))
  }
  return { place: mounted(t, disk, join(directory, 'before')), cut }
}

/** Mounts what would be left, if the power were cut now, of the file system that is in the file `disk`; returns where: `place`, which is made. */
export function leftOfDisk(t: TestWithTeardown, disk: string, place: string): string {
  const copy = `${place}.disk`
  run('cp', '--sparse=always', disk, copy)
  return mounted(t, copy, place)
}

/** For a test's `skip`. */
export function whyNoCutDisk(): string | false {
  if (process.getuid?.() !== 0) return 'needs root, to mount'
  return spawnSync('losetup', ['--find'], { env: environment() }).status === 0 ? false : 'there is no loop device'
}

function mounted(t: TestWithTeardown, disk: string, place: string): string {
  mkdirSync(place)
  run('mount', '-o', 'loop', disk, place)
  t.teardown(() => run('umount', place))
  return place
}

function run(program: string, ...args: string[]): void {
  const { status, stderr } = spawnSync(program, args, { env: environment() })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
}

const environment = () => ({ ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` })
