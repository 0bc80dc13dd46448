// `drover launch`: makes containers and starts them where the scheduler, or the user, says.

import type { DroverClient } from '@drover/client'
import type {
  Container,
  Devices,
  LaunchExplanation,
  LaunchOutcome,
  LaunchRequest,
  Operation,
  SetRequest,
} from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseDeviceFlag } from '../device-words.ts'
import { addFirstBootOptions, type FirstBootFlags, firstBootOf } from '../first-boot-flags.ts'
import { type Outcome, runMany } from '../follow-many.ts'
import { addKernelOptions, type KernelFlags } from '../kernel-settings.ts'
import { parseSetting } from '../limit-settings.ts'
import { expandNames, maxCount, parseName, parseNames, parsePair } from '../names.ts'
import { formatDuration } from '../output/durations.ts'
import { parseBytes, parseCount, parseCpu } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'
import { addSchedulingOptions, type SchedulingFlags, schedulingOf } from '../scheduling-flags.ts'
import { addSecurityOptions, privilegedWarning, type SecurityFlags, securityOf } from '../security-flags.ts'
import type { Session } from '../session.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'
import { describeLaunch } from './explain.ts'

/** In one call; larger ones are planned in parts. */
const plannedTogether = 64

interface LaunchFlags extends WaitFlags, SchedulingFlags, SecurityFlags, FirstBootFlags, KernelFlags {
  makeRoom: boolean
  start: boolean
  dryRun?: boolean
  count?: number
  image?: string
  memory?: number
  cpu?: number
  disk?: number
  pids?: number
  set?: SetRequest
  device?: Devices
  ephemeral?: boolean
  profile?: string[]
  host?: string
  address?: string
  address6?: string
  mac?: string
  env?: Record<string, string>
  label?: Record<string, string>
}

export function register(program: Command): void {
  const command = defineCommand(program, 'launch', {
    summary: 'make containers and start them',
    description:
      'Makes containers and starts them. The scheduler packs them onto the fullest host that fits, unless --host names one.',
    examples: [
      ['drover launch web', 'one container of the default image'],
      ['drover launch web --count 30 --memory 64MiB', 'web-1 to web-30'],
      ['drover launch db --image debian --cpu 2 --memory 1GiB', 'a larger one'],
      ['drover launch a1 a2 --host a --label team=blue', 'two on host a, labelled'],
      ['drover launch db --count 3 --group db --group-strict', 'three, each on another host'],
      ['drover launch db -i debian --ssh-key ~/.ssh/id_ed25519.pub', 'one that you can log in to'],
      ['drover launch ci --nesting', 'one that runs containers itself'],
      ['drover launch job --ephemeral --device data,type=bind,source=/srv/data,path=/data', 'gone when it stops'],
      ['drover launch gw --sysctl net.ipv4.ip_forward=1 --rlimit nofile=65536', 'settings of the kernel for it alone'],
      ['drover launch batch --preemptible --priority -10', 'gives way to what is more important'],
      ['drover launch x --require disk=ssd --priority 10', 'on a host with that label, before others'],
    ],
    json: 'print one JSON array on stdout: {name, operation, container, error} each',
  })
    .argument('<name...>', 'names of the new containers', parseNames)
    .option('-n, --count <number>', 'make this many, numbered: NAME-1, NAME-2, …', parseCount(1, maxCount))
    .option('-i, --image <name>', 'image to start from (default: busybox)', parseName)
    .option(
      '-m, --memory <size>',
      'memory that it is placed by and held to, e.g. 512MiB (default: placed by 64MiB, held to 1GiB)',
      parseBytes,
    )
    .option('-c, --cpu <cores>', 'share of cores, e.g. 0.5', parseCpu)
    .option('-d, --disk <size>', 'disk that it is placed by and held to, e.g. 10GiB', parseBytes)
    .option('--pids <number>', 'most processes and threads at once', parseCount(1, 4_194_304))
    .option('--set <KEY=VALUE>', 'a limit, as drover set knows them; repeatable', parseSetting)
    .option('--device <NAME,KEY=VALUE,…>', 'a device, as drover device add knows them; repeatable', parseDeviceFlag)
    .option('-p, --profile <name>', 'settings to start from; repeatable, later ones win', parseNames)
    .option('--ephemeral', 'delete it as soon as it stops')
    .option('--no-start', 'only make them: left stopped until drover start')
    .option('--host <host>', 'only on this host', parseName)
    .option('--address <ipv4>', 'this address, free and in the containers’ network (default: the next one)')
    .option('--address6 <ipv6>', 'this address, in the containers’ IPv6 network (default: one of its own)')
    .option('--mac <mac>', 'this MAC, e.g. 02:00:5e:00:53:01 (default: one of its own)')
    .option(
      '--no-make-room',
      'when it fits nowhere, neither move others to make room nor stop any (usual: up to four, live)',
    )
    .option('--dry-run', 'launch nothing: say where each would go now, and who would move or be stopped for it')
    .option('-e, --env <KEY=VALUE>', 'environment of its init; repeatable', parsePair)
    .option('-l, --label <KEY=VALUE>', 'label to find it by; repeatable', parsePair)
  addFirstBootOptions(command)
  addSecurityOptions(command)
  addKernelOptions(command)
  addSchedulingOptions(command)
  addWaitOptions(command).action(action(launch))
}

async function launch(session: Session, given: string[], flags: LaunchFlags): Promise<number> {
  const startedAt = performance.now()
  const names = expandNames(given, flags.count)
  const rules = Object.entries(flags.set?.scheduling ?? {}).filter(([, value]) => value !== null)
  const scheduling = { ...Object.fromEntries(rules), ...schedulingOf(flags) }
  const client = await session.client()
  const requestFor = (name: string) => ({
    ...launchRequest(name, flags),
    ...(Object.keys(scheduling).length > 0 ? { scheduling } : {}),
  })
  if (flags.dryRun) return await explainAll(session, names.map(requestFor))
  if (flags.privileged) session.output.note(privilegedWarning(names))
  const { outcomes, exitCode } = await runMany(session, names, flags, {
    doing: 'launching',
    done: 'launched',
    begin: launcher(client, names, requestFor),
  })
  const begun = outcomes.filter(({ operation }) => operation !== null)
  const containers = begun.length === 0 ? new Map() : await containersByName(session, begun)
  const { output } = session
  if (output.json) {
    output.document(outcomes.map((outcome) => ({ ...outcome, container: containers.get(outcome.name) ?? null })))
    return exitCode
  }
  const launched = begun.filter(({ error }) => !error).flatMap(({ name }) => containers.get(name) ?? [])
  if (launched.length > 0) {
    const took = flags.wait ? ` in ${formatDuration(performance.now() - startedAt)}` : ''
    output.line(
      describeLaunched(session, launched, flags.wait ? (flags.start ? 'launched' : 'made') : 'launching', took),
    )
    for (const note of await diskNotes(client, launched)) output.note(note)
  }
  return exitCode
}

/** Each by itself, as if the others weren't asked for. */
async function explainAll(session: Session, requests: readonly LaunchRequest[]): Promise<number> {
  const client = await session.client()
  const { output } = session
  const explained: ({ name: string } & LaunchExplanation)[] = []
  for (const request of requests) explained.push({ name: request.name, ...(await client.explainLaunch(request)) })
  output.result(explained, () =>
    explained.map((each) => `${output.palette.bold(each.name)}: ${describeLaunch(output.palette, each)}`).join('\n\n'),
  )
  return explained.every(({ host, room }) => host !== null || room !== null) ? 0 : 1
}

/** Where a disk has a limit that its host's file system can't hold. */
async function diskNotes(client: DroverClient, launched: readonly Container[]): Promise<string[]> {
  const limited = launched.filter(({ spec }) => spec.limits?.diskBytes != null)
  if (limited.length === 0) return []
  const unable = new Set(
    (await client.hosts()).flatMap((host) => (host.features.diskLimits === false ? [host.name] : [])),
  )
  const names = limited.flatMap(({ name, host }) => (unable.has(host) ? [`${name} on ${host}`] : []))
  return names.length === 0
    ? []
    : [`${names.join(', ')}: placed by its disk, but not held to it: that file system has no project quotas (prjquota)`]
}

/** Begins one, or all that are in the same call with it, which are planned together. */
function launcher(
  client: DroverClient,
  names: readonly string[],
  requestFor: (name: string) => LaunchRequest,
): (name: string) => Promise<Operation> {
  if (names.length === 1) return (name) => client.launch(requestFor(name))
  const calls = new Map<number, Promise<LaunchOutcome[]>>()
  const given = new Set<LaunchOutcome>()
  return async (name) => {
    const at = Math.floor(names.indexOf(name) / plannedTogether) * plannedTogether
    const together = names.slice(at, at + plannedTogether)
    const call = calls.get(at) ?? client.launchAll(together.map(requestFor))
    calls.set(at, call)
    const outcome = (await call).find((each) => each.name === name && !given.has(each))
    if (outcome) given.add(outcome)
    if (outcome?.operation) return outcome.operation
    throw DroverError.fromJSON({ error: outcome?.error })
  }
}

function launchRequest(name: string, flags: LaunchFlags): LaunchRequest {
  const lifecycle = flags.ephemeral ? { ...flags.set?.lifecycle, ephemeral: true } : flags.set?.lifecycle
  const security = securityOf(flags, flags.set?.security)
  const firstBoot = firstBootOf(flags)
  const sysctls = present({ ...flags.set?.sysctls, ...flags.sysctl })
  const rlimits = present({ ...flags.set?.rlimits, ...flags.rlimit })
  const limits = flags.disk ? { diskBytes: flags.disk, ...flags.set?.limits } : flags.set?.limits
  return {
    name,
    ...(flags.image === undefined ? {} : { image: flags.image }),
    ...(flags.makeRoom ? {} : { makeRoom: false }),
    ...(flags.start ? {} : { start: false }),
    ...(flags.host === undefined ? {} : { host: flags.host }),
    ...(flags.address === undefined ? {} : { address: flags.address }),
    ...(flags.address6 === undefined ? {} : { address6: flags.address6 }),
    ...(flags.mac === undefined ? {} : { mac: flags.mac }),
    ...(flags.cpu === undefined ? {} : { cpuMilli: flags.cpu }),
    ...(flags.memory === undefined ? {} : { memoryBytes: flags.memory }),
    ...(flags.disk === undefined ? {} : { diskBytes: flags.disk }),
    ...(flags.pids === undefined ? {} : { pids: flags.pids }),
    ...(limits === undefined ? {} : { limits }),
    ...flags.set?.requests,
    ...(flags.set?.restart === undefined ? {} : { restart: flags.set.restart }),
    ...(flags.set?.autostart === undefined ? {} : { autostart: flags.set.autostart }),
    ...(flags.set?.stop === undefined ? {} : { stop: flags.set.stop }),
    ...(flags.set?.snapshots === undefined ? {} : { snapshots: flags.set.snapshots }),
    ...(security === undefined ? {} : { security }),
    ...(sysctls === null ? {} : { sysctls }),
    ...(rlimits === null ? {} : { rlimits }),
    ...(flags.device === undefined ? {} : { devices: flags.device }),
    ...(lifecycle === undefined ? {} : { lifecycle }),
    ...(flags.profile === undefined ? {} : { profiles: flags.profile }),
    ...(firstBoot === undefined ? {} : { firstBoot }),
    ...(flags.env === undefined ? {} : { environment: flags.env }),
    ...(flags.label === undefined ? {} : { labels: flags.label }),
  }
}

/** `none` takes nothing away at a launch. */
function present<T>(named: Record<string, T | null>): Record<string, T> | null {
  const kept = Object.entries(named).filter((each): each is [string, T] => each[1] !== null)
  return kept.length === 0 ? null : Object.fromEntries(kept)
}

async function containersByName(session: Session, begun: readonly Outcome[]): Promise<Map<string, Container>> {
  const client = await session.client()
  const wanted = new Set(begun.map(({ name }) => name))
  const containers = await client.containers()
  return new Map(containers.filter(({ name }) => wanted.has(name)).map((container) => [container.name, container]))
}

export function describeLaunched(
  session: Session,
  containers: readonly Container[],
  verb: string,
  took: string,
): string {
  const { palette } = session.output
  const [first, second] = containers
  if (first && !second) {
    const where = `${verb} ${palette.bold(first.name)} on host ${palette.bold(first.host)}${took} · ${bareAddress(first)}`
    return `${where}\n${palette.dim(first.placement.reason)}`
  }
  const table = renderTable(
    palette,
    [
      { header: 'NAME', value: ({ name }) => name },
      { header: 'HOST', value: ({ host }) => host },
      { header: 'ADDRESS', value: bareAddress },
      { header: 'WHY THERE', value: ({ placement }) => palette.dim(placement.reason) },
    ],
    containers,
  )
  return `${table}\n${verb} ${containers.length} containers${took}: ${countByHost(containers)}`
}

/** `16 on a, 14 on b` */
function countByHost(containers: readonly Container[]): string {
  const counts = new Map<string, number>()
  for (const { host } of containers) counts.set(host, (counts.get(host) ?? 0) + 1)
  return [...counts]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([host, count]) => `${count} on ${host}`)
    .join(', ')
}

export const bareAddress = (container: Container): string => container.identity.ipv4.replace(/\/.*/, '')
