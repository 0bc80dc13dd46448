// The committed state: entities by key, the counters, and indexes that follow from the entities. One function writes an
// entity, so that applying an entry, loading from disk and restoring a snapshot keep the indexes alike. Nothing in apply
// may depend on the iteration order of these maps: replicas that were restored have another one.

import type {
  Container,
  Host,
  Image,
  Operation,
  Profile,
  RebalanceRecord,
  SchedulingPolicy,
  Volume,
} from '@drover/protocol'

/** A container with what only the controller needs. */
export interface StoredContainer extends Container {
  /** Log index at which what its hosts shall do last changed: the revision of its assignments. */
  assignedRevision: number
  /** How long a stop may take before it is killed; null: the agent's default. */
  stopTimeoutMs: number | null
  /** The epoch in which its host has said that it runs there only under the host's lease; missing: it never has. */
  leasedEpoch?: number
  /** What hosts have of it from an older epoch is a disk that was given up; missing: it never was. */
  diskEpoch?: number
  /** How often it was preempted without an hour between, and when last; missing: never. */
  preemptions?: { inARow: number; lastAtMs: number }
}

/** A move that was begun, whoever wanted it: what keeps rebalancing calm. */
export interface BegunMove {
  container: string
  from: string
  to: string
  atMs: number
  urgent: boolean
  /** By rebalancing, so it counts against its budget. */
  rebalancing: boolean
  reason: string
}

/** A token by which a host may join; `use`: by which key, and from where. */
export interface StoredHostToken {
  host: string
  secretHash: string
  createdAtMs: number
  expiresAtMs: number
  use: { keyHash: string; address: string; atMs: number } | null
}

export interface Counters {
  /** The next container's serial; never goes back. */
  nextSerial: number
}

export interface Tables {
  hosts: Host
  /** Hosts whose agents are silent. */
  silences: { sinceMs: number }
  /** Silent hosts that count as lost. `sure`: by somebody's word; `fresh`: then what would wait for its disk begins anew as well. */
  losses: { sinceMs: number; sure: boolean; fresh: boolean }
  containers: StoredContainer
  images: Image
  operations: Operation
  profiles: Profile
  counters: Counters
  /** One, under the key `scheduling`; missing: nothing was ever said. */
  policies: SchedulingPolicy
  /** By operation; the oldest are forgotten. */
  begunMoves: BegunMove
  /** By log index; the oldest are forgotten. */
  rebalances: RebalanceRecord
  hostTokens: StoredHostToken
  /** By name: hosts whose reports no longer make them join. */
  removedHosts: { host: string; atMs: number }
  /** By id. */
  volumes: Volume
}
export type TableName = keyof Tables
export const tableNames: readonly TableName[] = [
  'hosts',
  'silences',
  'losses',
  'containers',
  'images',
  'operations',
  'profiles',
  'counters',
  'policies',
  'begunMoves',
  'rebalances',
  'hostTokens',
  'removedHosts',
  'volumes',
]

export type Change = { [T in TableName]: { table: T; key: string; value: Tables[T] | null } }[TableName]

export interface ClusterState {
  /** Index of the last applied entry. */
  index: number
  tables: { [T in TableName]: Map<string, Tables[T]> }
  /** Container ids by name. */
  idsByName: Map<string, string>
  /** Ids of the operations that have not ended. */
  running: Set<string>
}

export function emptyState(): ClusterState {
  return {
    index: 0,
    tables: {
      hosts: new Map(),
      silences: new Map(),
      losses: new Map(),
      containers: new Map(),
      images: new Map(),
      operations: new Map(),
      profiles: new Map(),
      counters: new Map(),
      policies: new Map(),
      begunMoves: new Map(),
      rebalances: new Map(),
      hostTokens: new Map(),
      removedHosts: new Map(),
      volumes: new Map(),
    },
    idsByName: new Map(),
    running: new Set(),
  }
}

/** Writes or removes one entity and keeps the indexes. Entities are never changed in place. */
export function writeEntity(state: ClusterState, change: Change): void {
  const table = state.tables[change.table] as Map<string, unknown>
  if (change.table === 'containers') {
    const before = state.tables.containers.get(change.key)
    if (before) state.idsByName.delete(before.name)
    if (change.value) state.idsByName.set(change.value.name, change.key)
  }
  if (change.table === 'operations') {
    if (change.value?.state === 'running') state.running.add(change.key)
    else state.running.delete(change.key)
  }
  if (change.value) table.set(change.key, change.value)
  else table.delete(change.key)
}

export const nextSerial = (state: ClusterState): number => state.tables.counters.get('counters')?.nextSerial ?? 1

export function containerByName(state: ClusterState, name: string): StoredContainer | undefined {
  const id = state.idsByName.get(name)
  return id === undefined ? undefined : state.tables.containers.get(id)
}

/** Running operations, oldest first (by creation, then id: the same on every replica). */
export function runningOperations(state: ClusterState): Operation[] {
  const operations = [...state.running].map((id) => state.tables.operations.get(id)!)
  return operations.sort((left, right) => left.createdAtMs - right.createdAtMs || (left.id < right.id ? -1 : 1))
}

/** The whole state as bytes; equal states give equal bytes. */
export function encodeSnapshot(state: ClusterState): Uint8Array {
  const tables = tableNames.map((table) => [
    table,
    [...state.tables[table]].sort(([left], [right]) => (left < right ? -1 : 1)),
  ])
  return new TextEncoder().encode(JSON.stringify({ format: 1, index: state.index, tables }))
}

export function decodeSnapshot(bytes: Uint8Array): ClusterState {
  const snapshot = JSON.parse(new TextDecoder().decode(bytes)) as {
    format: number
    index: number
    tables: [TableName, [string, unknown][]][]
  }
  if (snapshot.format !== 1) throw new Error(`restore a snapshot of format ${snapshot.format}: this version reads 1`)
  const state = emptyState()
  for (const [table, entities] of snapshot.tables) {
    for (const [key, value] of entities) writeEntity(state, { table, key, value } as Change)
  }
  state.index = snapshot.index
  return state
}
