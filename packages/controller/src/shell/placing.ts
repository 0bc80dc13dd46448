// Launches and moves that users ask for: placed against the state and the placements under way, proposed, and placed anew
// when the cluster has changed in between.

import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type ContainerImportRequest,
  type ContainerSpec,
  type CopyRequest,
  coldFallback,
  DroverError,
  describePins,
  featureObstacles,
  type LaunchRequest,
  type MigrationMode,
  type MoveRequest,
  type MoveTerms,
  type Operation,
  pinsOf,
  postCopyRefusal,
  silentAfterMs,
} from '@drover/protocol'
import { type Demand, type PlaceResult, place } from '@drover/scheduler'
import { clusterSnapshot, pendingOf, type SnapshotOptions } from '../core/cluster-snapshot.ts'
import { fixedBlackoutOf } from '../core/container-snapshots.ts'
import { demandOf } from '../core/demand.ts'
import { closedHostFor, machinesFor } from '../core/machines-for.ts'
import { isSilent } from '../core/observed.ts'
import { launchWithProfiles } from '../core/profiles.ts'
import { policyOf } from '../core/scheduling-policy.ts'
import { type ClusterState, containerByName, type StoredContainer } from '../core/state.ts'
import { notJoined } from '../core/views.ts'
import type { ControllerContext } from './context.ts'
import { specOf } from './launch-spec.ts'
import { makeRoomFor } from './making-room.ts'
import { submit } from './submit.ts'

/** How often a placement is made anew when others were faster. */
const maxPlacements = 8
const hearingPollMs = 50

/** `planned`: where it was planned to go, together with others. */
export async function launch(
  context: ControllerContext,
  id: string,
  asked: LaunchRequest,
  planned: string | null = null,
): Promise<Operation> {
  const { machine } = context
  const before = machine.state.tables.operations.get(id)
  if (before?.kind === 'launch' && before.target === asked.name) return before
  const { request, own } = launchWithProfiles(machine.state, asked)
  // A clear word before placement has its say; apply checks it again.
  if (!before && containerByName(machine.state, request.name)) {
    throw new DroverError('NAME_TAKEN', `launch ${request.name}: a container of that name exists`)
  }
  const spec = specOf(machine.state, request, 'launch', own === null ? {} : { profiles: asked.profiles ?? [], own })
  const host = request.host ?? null
  const demand = demandOf({ name: request.name, spec }, { host, excluded: [], live: false })
  const facts = {
    name: request.name,
    spec,
    ...identityFacts(context, request),
    ...(request.start === false ? { start: false } : {}),
  }
  const propose = ({ host, placement }: Placed) =>
    submit<Operation>(context.log, {
      type: 'ContainerLaunched',
      atMs: context.now(),
      operation: id,
      ...facts,
      host,
      placement,
    })
  const makeRoom = request.makeRoom === false ? undefined : () => makeRoomFor(context, id, demand, facts)
  return await placeAndSubmit(context, id, { demand, spec, planned }, {}, propose, makeRoom)
}

type Chosen = { [Key in 'address' | 'address6' | 'mac']?: string | undefined }

/** What its identity is made of. */
function identityFacts({ config }: ControllerContext, { address, address6, mac }: Chosen = {}) {
  return {
    machineId: randomBytes(16).toString('hex'),
    network: config.containerNetwork,
    ...(config.containerNetwork6 === undefined ? {} : { network6: config.containerNetwork6 }),
    gateway: config.gateway,
    ...(address === undefined ? {} : { address }),
    ...(address6 === undefined ? {} : { address6 }),
    ...(mac === undefined ? {} : { mac }),
  }
}

export async function copy(
  context: ControllerContext,
  id: string,
  source: string,
  request: CopyRequest,
): Promise<Operation> {
  const { machine } = context
  const before = machine.state.tables.operations.get(id)
  if (before?.kind === 'copy' && before.target === request.name) return before
  const { refresh = false, start = !refresh, snapshot = null } = request
  const there = refresh ? containerByName(machine.state, request.name) : undefined
  if (refresh && start) {
    const why = 'one that is brought up to date stays off until it is started'
    throw new DroverError('BAD_REQUEST', `copy ${source} to ${request.name}: start is true, and ${why}`)
  }
  if (there) {
    if (request.host !== undefined && request.host !== there.host) {
      const why = `it is on host ${there.host}, not on ${request.host}; leave the host out, or move it first`
      throw new DroverError('BAD_REQUEST', `refresh ${request.name} from ${source}: ${why}`)
    }
    const facts = { operation: id, container: source, snapshot, name: request.name }
    return submit<Operation>(context.log, { type: 'CopyRefreshed', atMs: context.now(), ...facts })
  }
  const container = containerByName(machine.state, source)
  if (!container) throw new DroverError('CONTAINER_NOT_FOUND', `no container is named ${source}`)
  if (!before && containerByName(machine.state, request.name)) {
    throw new DroverError('NAME_TAKEN', `copy ${source} to ${request.name}: a container of that name exists`)
  }
  const { spec } = container
  const demand = demandOf({ name: request.name, spec }, { host: request.host ?? null, excluded: [], live: false })
  return await placeAndSubmit(context, id, { demand, spec }, {}, ({ host, placement }) =>
    submit<Operation>(context.log, {
      type: 'ContainerCopied',
      atMs: context.now(),
      operation: id,
      container: source,
      snapshot,
      name: request.name,
      start,
      host,
      placement,
      ...identityFacts(context),
    }),
  )
}

/** A container of a disk that was sent to some host. */
export async function importContainer(
  context: ControllerContext,
  id: string,
  { container, disk, start = true }: ContainerImportRequest,
): Promise<Operation> {
  const { machine } = context
  const { name } = container
  const before = machine.state.tables.operations.get(id)
  if (before?.kind === 'import' && before.target === name) return before
  if (!before && containerByName(machine.state, name))
    throw new DroverError('NAME_TAKEN', `import ${name}: a container of that name exists`)
  const spec = specOf(machine.state, container, 'import')
  const demand = demandOf({ name, spec }, { host: container.host ?? null, excluded: [], live: false })
  return await placeAndSubmit(context, id, { demand, spec }, {}, ({ host, placement }) =>
    submit<Operation>(context.log, {
      type: 'ContainerImported',
      atMs: context.now(),
      operation: id,
      name,
      spec,
      start,
      disk,
      host,
      placement,
      ...identityFacts(context, { address: container.address }),
    }),
  )
}

export async function move(
  context: ControllerContext,
  id: string,
  name: string,
  request: MoveRequest,
): Promise<Operation> {
  const { state } = context.machine
  const before = state.tables.operations.get(id)
  if (before?.kind === 'move' && before.target === name) return before
  const container = containerByName(state, name)
  if (!container) throw new DroverError('CONTAINER_NOT_FOUND', `no container is named ${name}`)
  checkMovable(context, container, request)
  const mode = modeOf(container, request)
  const demand = demandOf(container, {
    host: request.host ?? null,
    excluded: [container.host],
    live: mode !== 'cold',
  })
  // Its quota counts it already.
  const { project: _project, ...uncharged } = demand
  const origin = { source: container.host, without: container.id }
  return await placeAndSubmit(context, id, { demand: uncharged, spec: container.spec }, origin, ({ host, placement }) =>
    submit<Operation>(context.log, {
      type: 'MoveStarted',
      atMs: context.now(),
      operation: id,
      container: name,
      destination: host,
      mode,
      placement,
      parent: null,
      terms: termsOf(state, container, request),
    }),
  )
}

/** As asked for, and what this container's last move tells of the blackout that it has in any case. */
function termsOf(state: ClusterState, { name }: StoredContainer, request: MoveRequest): MoveTerms {
  const { host: _host, mode: _mode, ...options } = request
  const fixedBlackoutMs = fixedBlackoutOf(state, name)
  return { ...options, ...(fixedBlackoutMs === undefined ? {} : { fixedBlackoutMs }) }
}

/** What stands still is moved so, without being woken. */
function modeOf({ state }: StoredContainer, { mode }: MoveRequest): MigrationMode {
  if (state === 'stopped' || mode === 'cold') return 'cold'
  return state === 'frozen' ? 'frozen' : 'live'
}

/** What can be said without placing; apply says the rest. */
function checkMovable(context: ControllerContext, container: StoredContainer, request: MoveRequest): void {
  const { hosts } = context.machine.state.tables
  const { name, host, state } = container
  if (request.host !== undefined && !hosts.has(request.host)) throw notJoined(request.host)
  if (request.host === host) throw new DroverError('SAME_HOST', `move ${name}: it is on ${host} already`)
  if (container.operation !== null) {
    throw new DroverError('BUSY', `move ${name}: operation ${container.operation} is under way on it`, {
      context: { operation: container.operation },
    })
  }
  if (state !== 'running' && state !== 'frozen' && state !== 'stopped') {
    throw new DroverError('WRONG_STATE', `move ${name}: it is ${state}, not running, frozen or stopped`)
  }
  if (request.strategy === 'post-copy') {
    throw new DroverError('NOT_MIGRATABLE', `move ${name} by post-copy: ${postCopyRefusal}`)
  }
  const pins = pinsOf(container.spec.devices)
  if (pins.length > 0) {
    throw new DroverError('NOT_MIGRATABLE', `move ${name}: devices pin it to ${host}: ${describePins(pins)}`)
  }
  const criu = hosts.get(host)?.features.criu
  const mode = modeOf(container, request)
  if (mode !== 'cold' && criu?.usable !== true) {
    const reason = criu?.reason ?? 'its features are unknown'
    throw new DroverError('NOT_MIGRATABLE', `move ${name} ${mode} from ${host}: ${reason}; move it cold, or not at all`)
  }
  const [source, asked] = [hosts.get(host), request.host === undefined ? undefined : hosts.get(request.host)]
  if (mode === 'cold' || !source || !asked) return
  const obstacles = featureObstacles(source.features, asked.features)
  if (obstacles.length > 0) {
    throw new DroverError(
      'NOT_MIGRATABLE',
      `move ${name} live from ${host} to ${asked.name}: ${obstacles.join('; ')}; ${coldFallback}`,
      { context: { host: asked.name, obstacles } },
    )
  }
}

type Placed = Extract<PlaceResult, { host: string }>

async function placeAndSubmit(
  context: ControllerContext,
  id: string,
  {
    demand,
    spec,
    planned = null,
  }: { demand: Demand; spec: Pick<ContainerSpec, 'requests' | 'scheduling' | 'devices'>; planned?: string | null },
  origin: Pick<SnapshotOptions, 'source' | 'without'>,
  propose: (placed: Placed) => Promise<Operation>,
  makeRoom?: () => Promise<Operation | null>,
): Promise<Operation> {
  const { machine, reports, pending } = context
  if (demand.host !== null && !machine.state.tables.hosts.has(demand.host)) throw notJoined(demand.host)
  await hostsHeard(context)
  for (let attempt = 1; ; attempt += 1) {
    const options = { pending: pending.values(), ...origin }
    const best = place(clusterSnapshot(machine.state, reports, context.now(), options), demand, context.seed())
    const placed = asPlanned(best, planned)
    if (placed.host === null) {
      if (attempt < maxPlacements && (await openEmptied(context, id, demand, origin))) continue
      const begun = await makeRoom?.()
      if (begun) return begun
      throw await refusedFor(context, id, demand, refusal(demand, placed))
    }
    pending.set(id, pendingOf(placed.host, spec))
    try {
      return await propose(placed)
    } catch (error) {
      const stale = error instanceof DroverError && error.code === 'PLACEMENT_STALE'
      if (!stale || attempt >= maxPlacements) throw error
    } finally {
      pending.delete(id)
    }
  }
}

/** The plan of many knows better than a look at one, as long as it is still possible. */
function asPlanned(best: PlaceResult, planned: string | null): PlaceResult {
  const there = best.placement.hosts.find(({ host }) => host === planned)
  if (best.host === null || best.host === planned || !there?.feasible) return best
  const reason = `planned together with others: with it on ${there.host} they all fit best`
  return { host: there.host, placement: { ...best.placement, chosen: there.host, reason } }
}

/** The refusal, with what was asked for because of it. */
async function refusedFor(
  context: ControllerContext,
  id: string,
  demand: Demand,
  refused: DroverError,
): Promise<DroverError> {
  const { machine, reports, log, now, seed, config } = context
  const hook = policyOf(machine.state).machineHook ?? config.machineHook
  if (refused.code !== 'NO_CAPACITY' || demand.host !== null || hook === undefined) return refused
  const asked = machinesFor(machine.state, reports, now(), [demand], seed())
  if (!asked) return refused
  const entry = { type: 'MachinesAsked', atMs: now(), operation: `${id}-machines`, ...asked } as const
  const operation = await submit<Operation>(log, entry).catch((error: DroverError) => error)
  const said = operation instanceof DroverError ? operation.message : `operation ${operation.id} asks for a machine`
  return new DroverError('NO_CAPACITY', `${refused.message}; ${said}`, { context: refused.context, retryable: true })
}

/** A host that consolidation has emptied and closed takes containers again when nothing else fits. */
async function openEmptied(
  { machine, reports, log, now, seed, pending }: ControllerContext,
  id: string,
  demand: Demand,
  origin: Pick<SnapshotOptions, 'source' | 'without'>,
): Promise<boolean> {
  const snapshot = clusterSnapshot(machine.state, reports, now(), { pending: pending.values(), ...origin })
  const host = closedHostFor(machine.state, snapshot, demand, seed())
  if (host === null) return false
  const opening = { operation: `${id}-opens-${host}`, kind: 'uncordon', host } as const
  await submit(log, { type: 'HostCordonRequested', atMs: now(), ...opening })
  return true
}

/** A controller that has just begun to listen doesn't know its hosts yet: it waits until each was heard or counts as silent. */
async function hostsHeard({ machine, reports, now }: ControllerContext): Promise<void> {
  const unknown = () =>
    [...machine.state.tables.hosts.keys()].some((host) => !reports.reports.has(host) && !isSilent(reports, host, now()))
  for (let waitedMs = 0; unknown() && waitedMs < silentAfterMs; waitedMs += hearingPollMs) await delay(hearingPollMs)
}

function refusal(demand: Demand, placed: PlaceResult): DroverError {
  const { reason, hosts } = placed.placement
  const asked = demand.host === null ? undefined : hosts.find(({ host }) => host === demand.host)?.refusal
  const code =
    asked === 'HOST_NOT_READY'
      ? 'HOST_UNREACHABLE'
      : asked === 'HOST_NOT_MIGRATABLE'
        ? 'NOT_MIGRATABLE'
        : ('NO_CAPACITY' as const)
  return new DroverError(code, `place ${demand.name}: ${reason}`, { context: { hosts } })
}
