// What a container may use at most, beside what it asks for (`requests`, by which it is placed). Every limit can be changed while the
// container runs. null: no limit, except for memory and pids, where the request then is the limit; a launch that says nothing of memory
// is given the usual limit (usualMemoryLimitBytes).

import { type Static, Type } from '@drover/schema'
import { DeviceChange } from './devices.ts'
import { RlimitChange, SysctlChange } from './kernel-settings.ts'
import { namePattern } from './names.ts'
import { Nullable } from './nullable.ts'
import { SchedulingChange } from './scheduling.ts'
import { Security } from './security.ts'
import { SnapshotPolicy } from './snapshots.ts'

const limit = (minimum: number, maximum: number, description: string) =>
  Nullable(Type.Integer({ minimum, maximum, description }))

const mostBytes = 2 ** 50

export const limitProperties = {
  cpuMilli: limit(10, 1_024_000, 'most processor time, thousandths of a core'),
  cpuWeight: limit(1, 10_000, 'share when the host is busy; 100 is everybody’s'),
  cpus: Nullable(
    Type.String({ pattern: '^\\d+(-\\d+)?(,\\d+(-\\d+)?)*$', maxLength: 256, description: 'pinned to these: 0-2,5' }),
  ),
  memoryBytes: limit(4 << 20, mostBytes, 'most memory; null: what it asks for; at a launch that says neither: 1 GiB'),
  swapBytes: limit(0, mostBytes, 'most swap beside the memory'),
  diskBytes: limit(
    1 << 20,
    mostBytes,
    'most that it writes beside its image; held where the file system of its host has project quotas',
  ),
  pids: limit(1, 4_194_304, 'most processes and threads; null: what it asks for'),
  ioWeight: limit(1, 10_000, 'share of a busy disk; 100 is everybody’s'),
  ioReadBytes: limit(4096, mostBytes, 'from the disk, bytes per second'),
  ioWriteBytes: limit(4096, mostBytes, 'to the disk, bytes per second'),
  ioReadOperations: limit(1, 2 ** 32 - 1, 'from the disk, operations per second'),
  ioWriteOperations: limit(1, 2 ** 32 - 1, 'to the disk, operations per second'),
  networkBits: limit(8000, 10 ** 12, 'of eth0 each way, bits per second'),
  networkIngressBits: limit(8000, 10 ** 12, 'what comes in by eth0, bits per second; null: as networkBits'),
  networkEgressBits: limit(8000, 10 ** 12, 'what goes out by eth0, bits per second; null: as networkBits'),
  networkMtu: limit(1280, 65_535, 'largest packet of eth0; null: 1500. Below 1280 there would be no IPv6'),
  networkQueue: limit(1, 1_000_000, 'packets that wait to be sent by eth0; null: 1000'),
  networkIsolated: Nullable(
    Type.Boolean({ description: 'eth0 reaches no other isolated container of its host; null: it does' }),
  ),
  hugePages64KiB: limit(0, mostBytes, 'memory in pages of 64 KiB, of what its host has reserved'),
  hugePages1MiB: limit(0, mostBytes, 'memory in pages of 1 MiB'),
  hugePages2MiB: limit(0, mostBytes, 'memory in pages of 2 MiB'),
  hugePages1GiB: limit(0, mostBytes, 'memory in pages of 1 GiB'),
  memoryPolicy: Nullable(
    Type.Union([Type.Literal('kill'), Type.Literal('freeze')], {
      description:
        'at the limit of memory: the kernel kills a process, or all of it is frozen until the limit is raised',
    }),
  ),
}

/** A limit that is missing is null: the state of older versions has none. */
export const Limits = Type.Partial(Type.Object(limitProperties), { additionalProperties: false })
export type Limits = Static<typeof Limits>

/** What follows when its init ends by itself; `most` restarts in a row, 0: no end. A stop or power-off asked for stays one. */
export const RestartPolicy = Type.Object(
  {
    policy: Type.Union([Type.Literal('no'), Type.Literal('on-failure'), Type.Literal('always')]),
    most: Type.Integer({ minimum: 0, maximum: 1_000_000 }),
  },
  { additionalProperties: false },
)
export type RestartPolicy = Static<typeof RestartPolicy>

/** How a stop asks its init to shut down, and when it is stopped with its host. */
export const StopPolicy = Type.Object(
  {
    signal: Type.Optional(
      Nullable(
        Type.Integer({
          minimum: 1,
          maximum: 64,
          description: 'number of the signal; null: as its kind of init wants it',
        }),
      ),
    ),
    priority: Type.Optional(
      Type.Integer({
        minimum: -1000,
        maximum: 1000,
        description: 'when its host goes down, higher ones are stopped first; missing: 0',
      }),
    ),
    hostTimeoutMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 3_600_000,
        description: 'and it is killed after so long, 0: at once; missing: 30 s',
      }),
    ),
  },
  { additionalProperties: false },
)
export type StopPolicy = Static<typeof StopPolicy>

/** Whether it runs again after its host has booted, if it ran before. Missing: it does, in no order. */
export const autostartProperties = {
  enabled: Type.Boolean(),
  order: Type.Integer({ minimum: -1000, maximum: 1000, description: 'higher ones are started first' }),
  delayMs: Type.Integer({ minimum: 0, maximum: 3_600_000, description: 'how long after its host is back' }),
}
export const Autostart = Type.Object(autostartProperties, { additionalProperties: false })
export type Autostart = Static<typeof Autostart>
export const defaultAutostart: Autostart = { enabled: true, order: 0, delayMs: 0 }
/** Some of it: the rest stays. */
export const AutostartChange = Type.Partial(Autostart, { additionalProperties: false })
export type AutostartChange = Static<typeof AutostartChange>

/** What becomes of it: both are no, if missing. */
export const Lifecycle = Type.Object(
  {
    ephemeral: Type.Optional(
      Type.Boolean({ description: 'deleted when it stops, by itself or because it was told to' }),
    ),
    protected: Type.Optional(Type.Boolean({ description: 'not deleted before this is taken away' })),
  },
  { additionalProperties: false },
)
export type Lifecycle = Static<typeof Lifecycle>

/** Some of the resources that it asks for. */
const RequestChange = Type.Partial(
  Type.Object({
    cpuMilli: Type.Integer({ minimum: 1, maximum: 1_024_000 }),
    memoryBytes: Type.Integer({ minimum: 4 << 20, maximum: mostBytes }),
    diskBytes: Type.Integer({ minimum: 0, maximum: mostBytes }),
    pids: Type.Integer({ minimum: 1, maximum: 4_194_304 }),
  }),
  { additionalProperties: false },
)

/** Names of a container’s profiles; later ones win. */
export const ProfileNames = Type.Array(Type.String({ pattern: namePattern }), { maxItems: 16, uniqueItems: true })

/** Body of a set: what is not named stays; null takes a limit away. A limit below the request lowers the request to it. */
export const SetRequest = Type.Object(
  {
    limits: Type.Optional(Limits),
    requests: Type.Optional(RequestChange),
    restart: Type.Optional(RestartPolicy),
    autostart: Type.Optional(AutostartChange),
    stop: Type.Optional(StopPolicy),
    snapshots: Type.Optional(SnapshotPolicy),
    devices: Type.Optional(DeviceChange),
    security: Type.Optional(Security),
    sysctls: Type.Optional(SysctlChange),
    rlimits: Type.Optional(RlimitChange),
    lifecycle: Type.Optional(Lifecycle),
    profiles: Type.Optional(ProfileNames),
    scheduling: Type.Optional(Type.Unsafe<SchedulingChange>(SchedulingChange)),
  },
  { additionalProperties: false },
)
export type SetRequest = Static<typeof SetRequest>
