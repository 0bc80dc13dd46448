// `drover host show`: everything about one host, and the containers on it.

import type { HostView } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { parseName } from '../names.ts'
import { formatTime } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { formatBytes, formatCpu } from '../output/sizes.ts'
import { renderFields } from '../output/table.ts'
import { describeHostStatus, fill } from './host-ls.ts'
import { byName, containerTable } from './ls.ts'

export function register(group: Command): void {
  defineCommand(group, 'show', {
    summary: 'show everything about a host and what is on it',
    examples: [
      ['drover host show a', 'capacity, kernel, criu, containers'],
      ['drover host show a --json', 'for programs: the host, and its containers as containerList'],
    ],
  })
    .argument('<host>', 'name of the host', parseName)
    .action(
      action(async ({ output, client }, name: string) => {
        const api = await client()
        const [host, all] = await Promise.all([api.host(name), api.containers()])
        const containers = all.filter((container) => container.host === name).sort(byName)
        output.result({ ...host, containerList: containers }, () => {
          const fields = describeHost(output.palette, host, Date.now())
          return containers.length === 0
            ? fields
            : `${fields}\n\n${containerTable(output.palette, containers, Date.now())}`
        })
      }),
    )
}

export function describeHost(palette: Palette, host: HostView, nowMs: number): string {
  const { requested, capacity, features, used } = host
  const { criu } = features
  return renderFields(palette, [
    ['name', palette.bold(host.name)],
    ['status', describeHostStatus(palette, host, nowMs)],
    ['address', `${host.address} · grpc ${host.grpcPort} · streams ${host.streamPort}`],
    [
      'memory',
      `${fill(palette, requested.memoryBytes, capacity.memoryBytes, formatBytes)} asked for${used ? `, ${formatBytes(used.memoryBytes)} used` : ''}`,
    ],
    [
      'cpu',
      `${fill(palette, requested.cpuMilli, capacity.cpuMilli, formatCpu)} asked for${used ? `, ${formatCpu(used.cpuMilli)} used` : ''}`,
    ],
    [
      'disk',
      `${fill(palette, requested.diskBytes, capacity.diskBytes, formatBytes)} asked for${features.diskLimits === false ? ', nothing holds containers to it' : ''}`,
    ],
    ['kept of moved', describeLeftovers(host)],
    ['pids', `${fill(palette, requested.pids, capacity.pids, String)} asked for`],
    ['runs out first', describeLimit(host)],
    ['placed by', describeSettings(host)],
    ['containers', String(host.containers)],
    ['kernel', `${features.kernel} · ${features.architecture} · cgroup ${features.cgroup} · ${features.engine} engine`],
    [
      'live moves',
      `${criu.usable ? palette.green('yes') : palette.yellow('no')} · ${criu.version ? `criu ${criu.version} · ` : ''}${criu.reason}`,
    ],
    ['images', String(host.images.length)],
    ['joined', formatTime(host.joinedAtMs)],
  ])
}

const resourceNames: Record<string, string> = {
  memoryBytes: 'memory',
  cpuMilli: 'cpu',
  diskBytes: 'disk',
  pids: 'pids',
  bridgePorts: 'ports of the bridge',
  neighbourEntries: 'entries in the table of neighbours',
}

/** `120 MiB of 3 containers that have left` */
function describeLeftovers({ leftovers, leftoverBytes }: HostView): string | null {
  const most = leftoverBytes === undefined ? '' : `; at most ${formatBytes(leftoverBytes)}`
  if (!leftovers || leftovers.containers === 0) return leftoverBytes === undefined ? null : `nothing${most}`
  return `${formatBytes(leftovers.bytes)} of ${leftovers.containers} that have left${most}`
}

/** `memory: 82 % asked for, 11.2 GiB free` */
function describeLimit({ limit }: HostView): string | null {
  if (!limit) return null
  const format = limit.resource === 'cpuMilli' ? formatCpu : limit.resource.endsWith('Bytes') ? formatBytes : String
  const name = resourceNames[limit.resource] ?? limit.resource
  return `${name}: ${Math.round(100 * limit.share)} % asked for, ${format(limit.free)} free`
}

/** `pool gpu · rack r1 · disk=ssd · tainted gpu (refuse)` */
function describeSettings({ pool, rack, zone, labels, taints, deviceCounts }: HostView): string | null {
  const parts = [
    ...(pool === undefined ? [] : [`pool ${pool}`]),
    ...(rack === undefined ? [] : [`rack ${rack}`]),
    ...(zone === undefined ? [] : [`zone ${zone}`]),
    ...Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`),
    ...Object.entries(deviceCounts ?? {}).map(([kind, count]) => `${count} of ${kind}`),
    ...Object.entries(taints ?? {}).map(([key, effect]) => `tainted ${key} (${effect})`),
  ]
  return parts.length === 0 ? null : parts.join(' · ')
}
