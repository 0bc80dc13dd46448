// What says where containers may run: rules of a container, settings of a host, policies of pools and quotas of projects. All of it
// is optional, so that what older versions wrote is still read; a missing value is the default, which refuses and prefers nothing.

import { type Static, Type } from '@drover/schema'
import { MoveLimits } from './move-options.ts'
import { namePattern } from './names.ts'
import { Nullable } from './nullable.ts'
import { leastLostAfterMs } from './subjects.ts'

const Name = Type.String({ pattern: namePattern, description: 'a DNS label' })
const words = <T extends string>(...values: T[]) =>
  Type.Unsafe<T>(Type.Union(values.map((value) => Type.Literal(value))))
/** Keys that break the rule are refused, not passed over. */
const bounded = (maxProperties: number) => ({ maxProperties, additionalProperties: false })

/** Key or value of a label; keys may have a prefix: `example.org/disk`. */
const labelKey = '^[a-z0-9]([a-z0-9./_-]{0,61}[a-z0-9])?$'
const Label = Type.String({ pattern: '^[A-Za-z0-9._-]{0,63}$', description: 'up to 63 letters, digits, dots, _ and -' })
const Labels = Type.Record(Type.String({ pattern: labelKey }), Label, bounded(64))
const Key = Type.String({ pattern: labelKey })
const Features = Type.Array(Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,62}$' }), { maxItems: 64 })
/** Kind of device → how many. */
const DeviceCounts = Type.Record(Key, Type.Integer({ minimum: 0, maximum: 1_000_000 }), bounded(64))

/** Members of a placement group are kept apart (`spread`) or together (`pack`). */
export const Group = Type.Object(
  {
    name: Name,
    kind: words('spread', 'pack'),
    strict: Type.Boolean({ description: 'false: a preference' }),
    topology: words('host', 'rack', 'zone'),
    maxPerDomain: Type.Optional(Type.Integer({ minimum: 1, description: 'of a strict spread; default 1' })),
  },
  { additionalProperties: false },
)
export type Group = Static<typeof Group>

/** How a container leaves a host that is emptied. `frozen`: with its memory, but without going on meanwhile. */
export const Leave = words('live', 'frozen', 'cold', 'stop', 'stay')
export type Leave = Static<typeof Leave>

/**
 * What becomes of it when its host is lost: `wait` for the host, which has its disk; or start it elsewhere, `fresh` from its image,
 * without what was on its disk.
 */
export const Heal = words('wait', 'fresh')
export type Heal = Static<typeof Heal>

/** Where a container may run, beside what it asks for. */
export const Scheduling = Type.Object(
  {
    pool: Type.Optional(Name),
    require: Type.Optional(Labels),
    architecture: Type.Optional(Type.String({ maxLength: 32 })),
    /** What processor, kernel and CRIU of its host must have: avx2; cgroup-v2; live. */
    cpuFeatures: Type.Optional(Features),
    kernelFeatures: Type.Optional(Features),
    criuFeatures: Type.Optional(Features),
    /** Of the devices that hosts are said to have, so many are its own as long as it is there. */
    claim: Type.Optional(DeviceCounts),
    hosts: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: 64, description: 'pinned to one of these' })),
    tolerate: Type.Optional(Type.Array(Key, { maxItems: 64, description: 'taints it may go to all the same' })),
    group: Type.Optional(Group),
    project: Type.Optional(Name),
    priority: Type.Optional(Type.Integer({ minimum: -1000, maximum: 1000, description: 'higher is more important' })),
    leave: Type.Optional(Leave),
    heal: Type.Optional(Heal),
    /** May it be stopped to make room for a more important one? Missing: as its pool says. */
    preemptible: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
)
export type Scheduling = Static<typeof Scheduling>

/** What isn't named stays, null takes away. Counts from when it is placed next. */
export const SchedulingChange = Type.Object(
  Object.fromEntries(
    Object.entries(Scheduling.properties).map(([key, schema]) => [key, Type.Optional(Nullable(schema))]),
  ),
  { additionalProperties: false },
)
export type SchedulingChange = { [K in keyof Scheduling]?: Scheduling[K] | null }

/** `refuse`: only who tolerates the key comes; `avoid`: others only when nowhere else will do. */
export const TaintEffect = words('refuse', 'avoid')
export type TaintEffect = Static<typeof TaintEffect>

const LeftoverBytes = Type.Integer({
  minimum: 0,
  description: 'disk that layers of containers which have left may hold; 0: none; missing: a tenth of the file system',
})

/** What an operator says of a host. */
export const hostSettingProperties = {
  labels: Type.Optional(Labels),
  taints: Type.Optional(Type.Record(Key, TaintEffect, bounded(64))),
  pool: Type.Optional(Name),
  rack: Type.Optional(Name),
  zone: Type.Optional(Name),
  /** What it has of devices that containers claim. */
  deviceCounts: Type.Optional(DeviceCounts),
  leftoverBytes: Type.Optional(LeftoverBytes),
}

/** Body of a host's set: what isn't named stays, null takes away. */
export const HostSetRequest = Type.Object(
  {
    labels: Type.Optional(Type.Record(Key, Nullable(Label), bounded(64))),
    taints: Type.Optional(Type.Record(Key, Nullable(TaintEffect), bounded(64))),
    deviceCounts: Type.Optional(
      Type.Record(Key, Nullable(Type.Integer({ minimum: 0, maximum: 1_000_000 })), bounded(64)),
    ),
    pool: Type.Optional(Nullable(Name)),
    rack: Type.Optional(Nullable(Name)),
    zone: Type.Optional(Nullable(Name)),
    leftoverBytes: Type.Optional(Nullable(LeftoverBytes)),
  },
  { additionalProperties: false },
)
export type HostSetRequest = Static<typeof HostSetRequest>

export const Pool = Type.Object(
  {
    policy: Type.Optional(words('pack', 'balance', 'spread')),
    overcommitCpu: Type.Optional(Type.Number({ minimum: 1, maximum: 100, description: 'times the cores' })),
    overcommitMemory: Type.Optional(Type.Number({ minimum: 1, maximum: 100, description: 'times the memory' })),
    idleReserve: Type.Optional(
      Type.Number({ minimum: 0, maximum: 0.9, description: 'share kept free of measured use where it overcommits' }),
    ),
    preemptBelow: Type.Optional(
      Type.Integer({
        minimum: -999,
        maximum: 1000,
        description:
          'containers of a lower priority may be stopped to make room for more important ones; missing: none',
      }),
    ),
  },
  { additionalProperties: false },
)
export type Pool = Static<typeof Pool>

/** What the containers of a project may ask for together. */
export const Quota = Type.Object(
  {
    containers: Type.Optional(Type.Integer({ minimum: 0 })),
    cpuMilli: Type.Optional(Type.Integer({ minimum: 0 })),
    memoryBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    diskBytes: Type.Optional(Type.Integer({ minimum: 0 })),
    pids: Type.Optional(Type.Integer({ minimum: 0 })),
    privileged: Type.Optional(Type.Boolean({ description: 'false: none of its containers may be privileged' })),
  },
  { additionalProperties: false },
)
export type Quota = Static<typeof Quota>

const minutes = Type.Integer({ minimum: 0, maximum: 1439, description: 'of the UTC day' })
const share = Type.Number({ minimum: 0, maximum: 1 })

/** How eager automatic rebalancing is; what is missing has the default of docs/scheduling.md. */
export const RebalanceSettings = Type.Object(
  {
    mode: Type.Optional(words('off', 'dry-run', 'on')),
    intervalS: Type.Optional(Type.Integer({ minimum: 1, maximum: 86_400, description: 'between two plans' })),
    startAbove: Type.Optional(share),
    stopAt: Type.Optional(share),
    hotAbove: Type.Optional(share),
    minGain: Type.Optional(share),
    containerCooldownS: Type.Optional(Type.Integer({ minimum: 0, maximum: 7 * 86_400 })),
    hostCooldownS: Type.Optional(Type.Integer({ minimum: 0, maximum: 86_400 })),
    movesPerHour: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
    maxConcurrent: Type.Optional(Type.Integer({ minimum: 1, maximum: 32 })),
    consolidate: Type.Optional(words('off', 'on')),
    spareHosts: Type.Optional(Type.Integer({ minimum: 0, maximum: 1000, description: 'empty hosts that stay open' })),
    emptyBelow: Type.Optional(share),
    afterwards: Type.Optional(
      // Of a host that consolidation has emptied; keep: nobody is told.
      words('hand-back', 'power-down', 'keep'),
    ),
    quietHours: Type.Optional(
      Type.Array(Type.Object({ fromMinute: minutes, toMinute: minutes }, { additionalProperties: false }), {
        maxItems: 8,
      }),
    ),
  },
  { additionalProperties: false },
)
export type RebalanceSettings = Static<typeof RebalanceSettings>

/** When hosts count as lost, and whether what may be is then started elsewhere by itself. */
export const HealingSettings = Type.Object(
  {
    mode: Type.Optional(words('off', 'on')),
    lostAfterS: Type.Optional(
      Type.Integer({
        minimum: leastLostAfterMs / 1000,
        maximum: 86_400,
        description: 'silence after which a host is lost',
      }),
    ),
  },
  { additionalProperties: false },
)
export type HealingSettings = Static<typeof HealingSettings>

/** A machine that can be asked for. */
export const MachineShape = Type.Object(
  {
    cpuMilli: Type.Integer({ minimum: 1 }),
    memoryBytes: Type.Integer({ minimum: 1 }),
    diskBytes: Type.Integer({ minimum: 0 }),
    price: Type.Number({ minimum: 0, description: 'in any unit, the same for all' }),
    pool: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type MachineShape = Static<typeof MachineShape>

/** Who is asked for new machines and told of emptied ones: a URL that takes a POST, or a program that reads standard input. */
export const MachineHookConfig = Type.Union([
  Type.Object({ url: Type.String({ pattern: '^https?://', maxLength: 2048 }) }, { additionalProperties: false }),
  Type.Object(
    {
      command: Type.Array(Type.String({ maxLength: 4096 }), {
        minItems: 1,
        maxItems: 64,
        description: 'program and arguments, without a shell; it must be there on every controller',
      }),
    },
    { additionalProperties: false },
  ),
])
export type MachineHookConfig = Static<typeof MachineHookConfig>

/** What the cluster's operators have said about scheduling. */
export const SchedulingPolicy = Type.Object({
  pools: Type.Record(Type.String(), Pool),
  projects: Type.Record(Type.String(), Quota),
  rebalance: RebalanceSettings,
  machines: Type.Optional(Type.Record(Type.String(), MachineShape)),
  /** Goes before the one in the controllers' configuration. */
  machineHook: Type.Optional(MachineHookConfig),
  moves: Type.Optional(MoveLimits),
  healing: Type.Optional(HealingSettings),
})
export type SchedulingPolicy = Static<typeof SchedulingPolicy>

/** Body of a policy's change: a pool, a project or a part replaced as a whole; null: back to the default. */
export const PolicyChange = Type.Object(
  {
    pools: Type.Optional(Type.Record(Name, Nullable(Pool), bounded(64))),
    projects: Type.Optional(Type.Record(Name, Nullable(Quota), bounded(1000))),
    /** Machines on offer, by name. */
    machines: Type.Optional(Type.Record(Name, Nullable(MachineShape), bounded(64))),
    /** Null: that of the controllers' configuration, if there is one. */
    machineHook: Type.Optional(Nullable(MachineHookConfig)),
    /** Only what is named is changed; null: back to the default. */
    rebalance: Type.Optional(Nullable(RebalanceSettings)),
    /** Replaced as a whole; null: back to the default. */
    moves: Type.Optional(Nullable(MoveLimits)),
    healing: Type.Optional(Nullable(HealingSettings)),
  },
  { additionalProperties: false },
)
export type PolicyChange = Static<typeof PolicyChange>
