// Start and stop of a whole system: Debian with systemd, from the call until PID 1 runs, until a TCP service answers, and until
// `systemctl is-system-running` says that all has been started; then from the halt that systemd is asked for until all is gone. The same
// root file system for all; drover's containers get a fresh layer each, the peers write into the one that they share.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { unpackInto } from '@drover/agent'
import { waitUntil } from '@drover/testkit/lab'
import { median, rounded } from '../figures.ts'
import { Answer } from './answer.ts'
import type { BenchOutcome } from './bench.ts'
import { type BenchHost, peerUid } from './bench-host.ts'
import { debianImage, makeLayers } from './migrate-layers.ts'
import type { Runtime } from './runtime.ts'
import { droverRuntime } from './runtime-drover.ts'
import { lxcRuntime } from './runtime-lxc.ts'
import { ociRuntime } from './runtime-oci.ts'

const firstSerial = 6000
const runningDeadlineMs = 60_000
const command = ['/bench-tool', 'stamp', '/started', '/sbin/init', '/sbin/init']
/** The limit is there, and above what a boot can use here: the peers have none. */
const cpuMilli = 4000
const names = ['drover', 'lxc', 'crun', 'runc'] as const
const keys = ['pid1', 'service', 'running', 'stop'] as const
type Boot = Record<(typeof keys)[number], number> & { state: string }

/** `missing`: peers that are not here, with the reason. */
export async function measureSystemd(
  host: BenchHost,
  n: number,
  missing: Readonly<Record<string, string>>,
  onProgress: (line: string) => void,
): Promise<BenchOutcome> {
  const notes: string[] = []
  const boots = new Map<string, Boot[]>()
  const left: Record<string, string> = { ...missing }
  const made = await makeRoots(host, onProgress)
  if (typeof made === 'string') for (const name of names) left[name] = made
  else await measureAll(host, systems(host, made), n, left, boots, onProgress)
  const figures: BenchOutcome['figures'] = {}
  for (const name of names) {
    const of = boots.get(name)
    for (const key of keys)
      figures[`${name === 'drover' ? '' : `${name}_`}systemd_${key}_ms_p50`] = of
        ? rounded(median(of.map((boot) => boot[key])))
        : null
    if (of)
      notes.push(`systemd under ${name}: ${[...new Set(of.map(({ state }) => state))].join(', ')} (n = ${of.length})`)
    else notes.push(`systemd under ${name}: not measured: ${left[name]}`)
  }
  return { figures, notes }
}

interface Roots {
  rootfs: string
  shifted: string
}

function systems(
  host: BenchHost,
  { rootfs, shifted }: Roots,
): { runtime: Runtime; file: (serial: number, name: string) => string }[] {
  const oci = { rootfs: shifted, command, whole: true }
  const peers = [lxcRuntime(host, shifted, command), ociRuntime(host, 'crun', oci), ociRuntime(host, 'runc', oci)]
  const upper = (serial: number, name: string) => join(host.place.directory, 'containers', `c${serial}`, 'upper', name)
  return [
    { runtime: droverRuntime(host, rootfs, command, cpuMilli), file: upper },
    ...peers.map((runtime) => ({ runtime, file: (_serial: number, name: string) => join(shifted, name) })),
  ]
}

/** Round by round, the first one not counted. A peer that fails is left out, with its reason. */
async function measureAll(
  host: BenchHost,
  all: ReturnType<typeof systems>,
  n: number,
  left: Record<string, string>,
  boots: Map<string, Boot[]>,
  onProgress: (line: string) => void,
): Promise<void> {
  for (let at = 0; at <= n; at++) {
    for (const [index, { runtime, file }] of all.entries()) {
      if (left[runtime.name] !== undefined) continue
      const serial = firstSerial + at * all.length + index
      try {
        const boot = await measureOne(host, runtime, serial, (name) => file(serial, name))
        if (at > 0) boots.set(runtime.name, [...(boots.get(runtime.name) ?? []), boot])
      } catch (error) {
        if (runtime.name === 'drover') throw error
        left[runtime.name] = `it does not come up: ${(error as Error).message}`
        boots.delete(runtime.name)
        onProgress(`systemd under ${runtime.name} is left out: ${left[runtime.name]}`)
        await runtime.kill(serial).catch(() => {})
        await runtime.remove(serial).catch(() => {})
      }
    }
    const line = [...boots].map(([name, of]) => `${name} ${of.at(-1)?.running.toFixed(0)}`).join(', ')
    if (at > 0) onProgress(`systemd ${at} of ${n}: ${line} ms`)
  }
}

async function measureOne(
  host: BenchHost,
  runtime: Runtime,
  serial: number,
  file: (name: string) => string,
): Promise<Boot> {
  await runtime.prepare(serial)
  for (const name of ['started', 'running', 'state']) rmSync(file(name), { force: true })
  const answer = await Answer.watch(host, runtime.name, runtime.reach(serial))
  try {
    const before = await runtime.start(serial)
    const service = await answer.moment
    await waitUntil(`systemd under ${runtime.name} to be up`, runningDeadlineMs, async () =>
      existsSync(file('running')),
    )
    const moment = (name: string) => Number(readFileSync(file(name), 'utf8')) / 1e6 - before
    const [pid1, running] = [moment('started'), moment('running')]
    const state = readFileSync(file('state'), 'utf8').trim()
    const stop = (await runtime.stop?.(serial)) ?? 0
    await runtime.remove(serial)
    return { pid1, service: service - before, running, stop, state }
  } finally {
    answer.end()
  }
}

/** From the image of the migration benchmark, which has a service on the port that is asked. Why there is none, if so. */
async function makeRoots(host: BenchHost, onProgress: (line: string) => void): Promise<Roots | string> {
  const { directory, missing } = await makeLayers([debianImage], onProgress)
  if (missing[debianImage] !== undefined) return missing[debianImage]
  const [rootfs, shifted] = [join(host.directory, 'debian'), join(host.directory, 'debian-shifted')]
  mkdirSync(rootfs, { mode: 0o755 })
  await unpackInto(join(directory, `${debianImage}.tar`), rootfs)
  copyFileSync(host.tool, join(rootfs, 'bench-tool'))
  chmodSync(join(rootfs, 'bench-tool'), 0o755)
  // Not part of what is measured: a fresh layer would have them made at each start.
  await host.must(['chroot', rootfs, 'ssh-keygen', '-A'], { inside: false })
  const unit = 'bench-running.service'
  writeFileSync(
    join(rootfs, 'etc/systemd/system', unit),
    "[Service]\nExecStart=/bin/sh -c 'systemctl is-system-running --wait >/state; exec /bench-tool stamp /running /bin/true true'\n",
  )
  symlinkSync(`../${unit}`, join(rootfs, 'etc/systemd/system/multi-user.target.wants', unit))
  await host.must(['cp', '-a', rootfs, shifted], { inside: false })
  shiftOwners(shifted)
  return { rootfs, shifted }
}

/** To the ids that the peers' containers have. A change of owner takes the set-user-id bit away: the mode comes after it. */
function shiftOwners(path: string): void {
  const info = lstatSync(path)
  lchownSync(path, info.uid + peerUid, info.gid + peerUid)
  if (!info.isSymbolicLink()) chmodSync(path, info.mode & 0o7777)
  if (info.isDirectory()) for (const name of readdirSync(path)) shiftOwners(join(path, name))
}
