// What operators say about scheduling: a host's labels, taints, pool and place, and the cluster's policy. Done as soon as applied;
// nothing moves by it until somebody plans.

import type { Host, HostSetRequest, Operation, PolicyChange, SchedulingPolicy } from '@drover/protocol'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation } from './operations.ts'
import { policyKey, policyOf } from './scheduling-policy.ts'

export function applyHostSet(draft: Draft, entry: EntryOf<'HostSet'>): Operation {
  const before = begunBefore(draft, entry.operation, 'host-set', entry.host)
  if (before) return before
  const host = draft.host(entry.host)
  const changed = describe(entry.change)
  draft.putHost(withSettings(host, entry.change))
  draft.event('host.set', entry.host, `host ${entry.host}: ${changed}`, entry.operation)
  return done(draft, entry.operation, 'host-set', entry.host, changed)
}

export function applyPolicyChanged(draft: Draft, entry: EntryOf<'PolicyChanged'>): Operation {
  const before = begunBefore(draft, entry.operation, 'policy', policyKey)
  if (before) return before
  draft.write({ table: 'policies', key: policyKey, value: withChange(policyOf(draft.state), entry.change) })
  // Its address may hold a key, and events are for many eyes.
  const hook = entry.change.machineHook ? { machineHook: 'set' } : {}
  const changed = describe({ ...entry.change, ...hook })
  draft.event('policy.changed', policyKey, `scheduling: ${changed}`, entry.operation)
  return done(draft, entry.operation, 'policy', policyKey, changed)
}

function withSettings(host: Host, change: HostSetRequest): Host {
  const { pool: _pool, rack: _rack, zone: _zone, leftoverBytes: _bytes, ...rest } = host
  const named = (key: 'pool' | 'rack' | 'zone' | 'leftoverBytes') => {
    const value = change[key] === undefined ? host[key] : change[key]
    return value == null ? {} : { [key]: value }
  }
  return {
    ...rest,
    labels: merged(host.labels, change.labels),
    taints: merged(host.taints, change.taints),
    ...(change.deviceCounts === undefined ? {} : { deviceCounts: merged(host.deviceCounts, change.deviceCounts) }),
    ...named('pool'),
    ...named('rack'),
    ...named('zone'),
    ...named('leftoverBytes'),
  }
}

function withChange(policy: SchedulingPolicy, change: PolicyChange): SchedulingPolicy {
  const { moves: before, machineHook: hookBefore, ...others } = policy
  const moves = change.moves === undefined ? before : (change.moves ?? undefined)
  const machineHook = change.machineHook === undefined ? hookBefore : (change.machineHook ?? undefined)
  return {
    ...others,
    ...(moves === undefined ? {} : { moves }),
    ...(machineHook === undefined ? {} : { machineHook }),
    pools: merged(policy.pools, change.pools),
    projects: merged(policy.projects, change.projects),
    machines: merged(policy.machines, change.machines),
    ...healingOf(policy, change),
    rebalance: change.rebalance === null ? {} : { ...policy.rebalance, ...change.rebalance },
  }
}

const healingOf = (policy: SchedulingPolicy, { healing }: PolicyChange): Pick<SchedulingPolicy, 'healing'> =>
  healing === null || (healing ?? policy.healing) === undefined ? {} : { healing: { ...policy.healing, ...healing } }

/** Null takes a key away. Keys are sorted, so that equal contents are equal bytes on every replica. */
function merged<Value>(
  before: Readonly<Record<string, Value>> = {},
  change: Readonly<Record<string, Value | null>> = {},
): Record<string, Value> {
  const all = Object.entries({ ...before, ...change }).filter((pair): pair is [string, Value] => pair[1] !== null)
  return Object.fromEntries(all.sort(([left], [right]) => (left < right ? -1 : 1)))
}

/** `labels.disk=ssd, pool=gpu, taints.old=none` */
function describe(change: object): string {
  const parts = Object.entries(change).flatMap(([part, value]) =>
    value === null || typeof value !== 'object' || Array.isArray(value)
      ? [`${part}=${shown(value)}`]
      : Object.entries(value).map(([key, each]) => `${part}.${key}=${shown(each)}`),
  )
  return parts.length === 0 ? 'nothing changed' : parts.join(', ')
}

const shown = (value: unknown): string =>
  value === null ? 'none' : typeof value === 'object' ? JSON.stringify(value) : String(value)

function done(draft: Draft, id: string, kind: 'host-set' | 'policy', target: string, message: string): Operation {
  const operation = beginOperation(draft, { id, kind, target, phase: 'done', message })
  return endOperation(draft, operation, { state: 'done', message, error: null })
}
