// What `drover set` and `drover launch --set` understand: KEY=VALUE, one row per key. `none` takes a limit away.

import type {
  AutostartChange,
  Lifecycle,
  RestartPolicy,
  SchedulingChange,
  Security,
  SetRequest,
  SnapshotPolicy,
  StopPolicy,
} from '@drover/protocol'
import { InvalidArgumentError } from 'commander'
import { kernelKeys, parseKernelSetting } from './kernel-settings.ts'
import { parseDuration } from './output/durations.ts'
import { parseSignal } from './output/signals.ts'
import { parseBytes, parseCount, parseCpu } from './output/sizes.ts'
import { placementRules } from './placement-settings.ts'
import { parseCapabilities, parseSystemCalls } from './security-flags.ts'
import {
  parseCpuList,
  parseDelay,
  parseMemoryPolicy,
  parseOrder,
  parseRate,
  parseRestart,
  parseSchedule,
  parseSwitch,
} from './setting-values.ts'

type LimitKey = keyof NonNullable<SetRequest['limits']>
type RequestKey = keyof NonNullable<SetRequest['requests']>
interface Setting {
  key: string
  meaning: string
  parse: (text: string) => number | string | boolean | string[] | RestartPolicy | SchedulingChange
  target:
    | { limit: LimitKey }
    | { request: RequestKey }
    | { restart: true }
    | { autostart: keyof AutostartChange }
    | { stop: keyof StopPolicy }
    | { snapshots: keyof SnapshotPolicy }
    | { security: keyof Security }
    | { lifecycle: keyof Lifecycle }
    | { rule: true }
}

const parseSize = (minimum: number) => (text: string) => {
  const bytes = parseBytes(text)
  if (bytes >= minimum) return bytes
  throw new InvalidArgumentError(`${JSON.stringify(text)} is too small: at least ${minimum} bytes.`)
}

const hugePages = {
  '64KB': 'hugePages64KiB',
  '1MB': 'hugePages1MiB',
  '2MB': 'hugePages2MiB',
  '1GB': 'hugePages1GiB',
} as const

export const settings: readonly Setting[] = [
  {
    key: 'memory',
    meaning: 'most memory, 512MiB; none: what it asks for, or 1GiB where nothing was said',
    parse: parseSize(4 << 20),
    target: { limit: 'memoryBytes' },
  },
  { key: 'memory.swap', meaning: 'most swap beside it, 1GiB', parse: parseSize(0), target: { limit: 'swapBytes' } },
  {
    key: 'memory.policy',
    meaning: 'at the limit: kill (a process, as usual) or freeze (everything, until the limit is raised)',
    parse: parseMemoryPolicy,
    target: { limit: 'memoryPolicy' },
  },
  ...(['64KB', '1MB', '2MB', '1GB'] as const).map((size) => ({
    key: `hugepages.${size}`,
    meaning: `most memory in pages of ${size}, of what its host has reserved; 0: none`,
    parse: parseSize(0),
    target: { limit: hugePages[size] },
  })),
  { key: 'cpu', meaning: 'most cores, 1.5', parse: parseCpu, target: { limit: 'cpuMilli' } },
  {
    key: 'cpu.weight',
    meaning: 'share when busy, 1 to 10000; usual: 100',
    parse: parseCount(1, 10_000),
    target: { limit: 'cpuWeight' },
  },
  { key: 'cpuset', meaning: 'pinned to these cores, 0-2,5', parse: parseCpuList, target: { limit: 'cpus' } },
  {
    key: 'disk',
    meaning: 'most that it writes beside its image, 20GiB; on hosts with project quotas',
    parse: parseSize(1 << 20),
    target: { limit: 'diskBytes' },
  },
  {
    key: 'pids',
    meaning: 'most processes and threads',
    parse: parseCount(1, 4_194_304),
    target: { limit: 'pids' },
  },
  {
    key: 'io.weight',
    meaning: 'share of a busy disk, 1 to 10000; usual: 100',
    parse: parseCount(1, 10_000),
    target: { limit: 'ioWeight' },
  },
  {
    key: 'io.read',
    meaning: 'bytes per second from the disk, 50MiB',
    parse: parseSize(4096),
    target: { limit: 'ioReadBytes' },
  },
  {
    key: 'io.write',
    meaning: 'bytes per second to the disk',
    parse: parseSize(4096),
    target: { limit: 'ioWriteBytes' },
  },
  {
    key: 'io.read-ops',
    meaning: 'operations per second from the disk',
    parse: parseCount(1, 2 ** 32 - 1),
    target: { limit: 'ioReadOperations' },
  },
  {
    key: 'io.write-ops',
    meaning: 'operations per second to the disk',
    parse: parseCount(1, 2 ** 32 - 1),
    target: { limit: 'ioWriteOperations' },
  },
  {
    key: 'network.rate',
    meaning: 'bits per second each way, 100mbit',
    parse: parseRate,
    target: { limit: 'networkBits' },
  },
  {
    key: 'network.ingress',
    meaning: 'bits per second that come in, 50mbit; usual: network.rate',
    parse: parseRate,
    target: { limit: 'networkIngressBits' },
  },
  {
    key: 'network.egress',
    meaning: 'bits per second that go out, 10mbit; usual: network.rate',
    parse: parseRate,
    target: { limit: 'networkEgressBits' },
  },
  {
    key: 'network.mtu',
    meaning: 'largest packet of eth0, 1280 to 65535; usual: 1500',
    parse: parseCount(1280, 65_535),
    target: { limit: 'networkMtu' },
  },
  {
    key: 'network.queue',
    meaning: 'packets that wait to be sent by eth0, 1 to 1000000; usual: 1000',
    parse: parseCount(1, 1_000_000),
    target: { limit: 'networkQueue' },
  },
  {
    key: 'network.isolated',
    meaning: 'true: eth0 reaches no other isolated container of its host',
    parse: parseSwitch,
    target: { limit: 'networkIsolated' },
  },
  {
    key: 'memory.request',
    meaning: 'memory that it is placed by',
    parse: parseSize(4 << 20),
    target: { request: 'memoryBytes' },
  },
  { key: 'cpu.request', meaning: 'cores that it is placed by', parse: parseCpu, target: { request: 'cpuMilli' } },
  { key: 'disk.request', meaning: 'disk that it is placed by', parse: parseSize(0), target: { request: 'diskBytes' } },
  {
    key: 'pids.request',
    meaning: 'processes that it is placed by',
    parse: parseCount(1, 4_194_304),
    target: { request: 'pids' },
  },
  {
    key: 'restart',
    meaning: 'when its init ends: no, on-failure, always; on-failure:5 at most five times in a row',
    parse: parseRestart,
    target: { restart: true },
  },
  {
    key: 'snapshots.schedule',
    meaning: 'take one by itself: hourly, daily, weekly, or every 6h',
    parse: parseSchedule,
    target: { snapshots: 'scheduleMs' },
  },
  {
    key: 'snapshots.expiry',
    meaning: 'how long those are kept, 7d',
    parse: parseDuration,
    target: { snapshots: 'expiryMs' },
  },
  {
    key: 'snapshots.keep',
    meaning: 'how many of those are kept, the newest',
    parse: parseCount(1, 64),
    target: { snapshots: 'keep' },
  },
  {
    key: 'snapshots.hook',
    meaning: 'shell command inside before each snapshot; if it fails, none is taken',
    parse: (text) => text,
    target: { snapshots: 'hook' },
  },
  {
    key: 'stop.signal',
    meaning: 'what a stop sends its init, SIGRTMIN+3; usual: what its kind understands',
    parse: parseSignal,
    target: { stop: 'signal' },
  },
  {
    key: 'stop.priority',
    meaning: 'when its host goes down, higher ones are stopped first, -1000 to 1000; usual: 0',
    parse: parseOrder,
    target: { stop: 'priority' },
  },
  {
    key: 'stop.host-timeout',
    meaning: 'and it is killed after so long, 2m; 0: at once; usual: 30s',
    parse: parseDelay,
    target: { stop: 'hostTimeoutMs' },
  },
  {
    key: 'autostart',
    meaning: 'whether it runs again after its host has booted: true (usual) or false',
    parse: parseSwitch,
    target: { autostart: 'enabled' },
  },
  {
    key: 'autostart.order',
    meaning: 'then higher ones are started first, -1000 to 1000; usual: 0',
    parse: parseOrder,
    target: { autostart: 'order' },
  },
  {
    key: 'autostart.delay',
    meaning: 'how long after its host is back, 10s',
    parse: parseDelay,
    target: { autostart: 'delayMs' },
  },
  {
    key: 'ephemeral',
    meaning: 'true: deleted as soon as it stops',
    parse: parseSwitch,
    target: { lifecycle: 'ephemeral' },
  },
  {
    key: 'protection.delete',
    meaning: 'true: not deleted until this is false again',
    parse: parseSwitch,
    target: { lifecycle: 'protected' },
  },
  {
    key: 'security.cap-add',
    meaning:
      'capabilities kept although containers lack them, SYS_TIME,SYSLOG; like all of security: while it is stopped',
    parse: parseCapabilities,
    target: { security: 'addCapabilities' },
  },
  {
    key: 'security.cap-drop',
    meaning: 'capabilities taken away, NET_RAW,SYS_PTRACE',
    parse: parseCapabilities,
    target: { security: 'dropCapabilities' },
  },
  {
    key: 'security.syscalls.deny',
    meaning: 'system calls that fail with ENOSYS, in 32-bit programs too, keyctl,ptrace',
    parse: parseSystemCalls,
    target: { security: 'denySyscalls' },
  },
  {
    key: 'security.syscalls.allow',
    meaning: 'system calls that work although they fail in other containers, io_uring_setup,io_uring_enter',
    parse: parseSystemCalls,
    target: { security: 'allowSyscalls' },
  },
  {
    key: 'security.nesting',
    meaning: 'whether containers inside may mount proc and sysfs: true or false',
    parse: parseSwitch,
    target: { security: 'nesting' },
  },
  {
    key: 'security.address-filter',
    meaning: 'whether only packets with its own addresses leave it: true (usual) or false',
    parse: parseSwitch,
    target: { security: 'addressFilter' },
  },
  ...placementRules.map(({ key, meaning, change }) => ({
    key,
    meaning,
    parse: change,
    target: { rule: true } as const,
  })),
]

/** What somebody might look for here, and where it is instead. */
const waysOfIdentity: Record<string, string> = {
  mac: 'drover launch --mac',
  hwaddr: 'drover launch --mac',
  address: 'drover launch --address',
  'ipv4.address': 'drover launch --address',
  address6: 'drover launch --address6',
  'ipv6.address': 'drover launch --address6',
}

/** Adds one KEY=VALUE to what was read before. */
export function parseSetting(text: string, before: SetRequest = {}): SetRequest {
  const kernel = parseKernelSetting(text, before)
  if (kernel !== null) return kernel
  const at = text.indexOf('=')
  const setting = settings.find(({ key }) => key === text.slice(0, at))
  const wayOfIdentity = waysOfIdentity[text.slice(0, Math.max(at, 0))]
  if (wayOfIdentity !== undefined) {
    const why = 'connections and neighbours know it, so it stays as long as the container does'
    throw new InvalidArgumentError(`${text.slice(0, at)} is chosen at the launch (${wayOfIdentity}): ${why}.`)
  }
  if (at < 1 || !setting) {
    const known = [...settings, ...kernelKeys].map(({ key }) => key).join(', ')
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not KEY=VALUE with one of the keys ${known}.`)
  }
  const value = text.slice(at + 1)
  const { target } = setting
  if ('limit' in target) {
    const limit = value === 'none' ? null : setting.parse(value)
    return { ...before, limits: { ...before.limits, [target.limit]: limit } }
  }
  if ('rule' in target) {
    return { ...before, scheduling: { ...before.scheduling, ...(setting.parse(value) as SchedulingChange) } }
  }
  if ('snapshots' in target) {
    const wanted = value === 'none' ? null : setting.parse(value)
    return { ...before, snapshots: { ...before.snapshots, [target.snapshots]: wanted } }
  }
  if ('security' in target) {
    const wanted = value === 'none' && /Capabilities$|Syscalls$/.test(target.security) ? [] : setting.parse(value)
    return { ...before, security: { ...before.security, [target.security]: wanted } }
  }
  if ('lifecycle' in target)
    return { ...before, lifecycle: { ...before.lifecycle, [target.lifecycle]: setting.parse(value) } }
  if ('stop' in target) {
    const wanted = target.stop === 'signal' && value === 'none' ? null : setting.parse(value)
    return { ...before, stop: { ...before.stop, [target.stop]: wanted } }
  }
  if ('restart' in target) return { ...before, restart: parseRestart(value) }
  if ('autostart' in target) {
    return { ...before, autostart: { ...before.autostart, [target.autostart]: setting.parse(value) } }
  }
  if (value === 'none')
    throw new InvalidArgumentError(`${setting.key} needs a value: without it nothing can be placed.`)
  return { ...before, requests: { ...before.requests, [target.request]: setting.parse(value) } }
}

/** For --help: a line per key. */
export function describeSettings(): string {
  const all = [...settings, ...kernelKeys]
  const width = Math.max(...all.map(({ key }) => key.length))
  return all.map(({ key, meaning }) => `  ${key.padEnd(width)}  ${meaning}`).join('\n')
}
