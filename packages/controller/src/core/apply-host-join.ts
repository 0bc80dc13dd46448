// Hosts join by a token that is good once, and leave for good. A token is kept as the hash of its secret until a day after it has expired, so
// that whoever comes too late hears why. A removed host's name is kept as well: its agent may still speak, and must not join by that.

import type { HostToken, Operation } from '@drover/protocol'
import { loseVolumes, volumesOn } from './apply-volumes.ts'
import type { Draft } from './draft.ts'
import type { EntryOf } from './entries.ts'
import { beginOperation, begunBefore, endOperation, operationOnHost } from './operations.ts'
import type { ClusterState, StoredContainer, StoredHostToken } from './state.ts'

export const mostTokens = 1_000
/** Of removed hosts; the oldest are forgotten. */
export const mostRemovedHosts = 1_000
const keptAfterExpiryMs = 24 * 3_600_000
/** Names in a refusal. */
const mostNamed = 3

export function applyHostTokenMade(draft: Draft, entry: EntryOf<'HostTokenMade'>): Operation {
  const before = begunBefore(draft, entry.operation, 'host-token', entry.host)
  if (before) return before
  const { host, secretHash, expiresAtMs, again } = entry
  const { hosts, hostTokens } = draft.state.tables
  const doing = `make a token for host ${host}`
  if (hosts.has(host) && !again)
    draft.refuse('NAME_TAKEN', `${doing}: a host of that name has joined; to have it join anew say --again`, { host })
  if (!hosts.has(host) && again) draft.refuse('HOST_NOT_FOUND', `${doing} again: it has not joined yet`, { host })
  const stale = [...hostTokens.values()].filter((token) => token.expiresAtMs + keptAfterExpiryMs < draft.atMs)
  if (hostTokens.size - stale.length >= mostTokens && !hostTokens.has(host))
    draft.refuse('LIMIT_REACHED', `${doing}: there are ${mostTokens} tokens, the limit; take some back`, { host })
  for (const token of stale) draft.write({ table: 'hostTokens', key: token.host, value: null })
  const value = { host, secretHash, createdAtMs: draft.atMs, expiresAtMs, use: null }
  draft.write({ table: 'hostTokens', key: host, value })
  draft.event('host.token-made', host, `a token was made by which host ${host} may join`, entry.operation)
  return done(draft, entry.operation, 'host-token', host, 'made')
}

export function applyHostTokenRevoked(draft: Draft, { operation, host }: EntryOf<'HostTokenRevoked'>): Operation {
  const before = begunBefore(draft, operation, 'host-token', host)
  if (before) return before
  if (!draft.state.tables.hostTokens.has(host))
    draft.refuse('TOKEN_REFUSED', `take back the token of host ${host}: there is none`, { host })
  draft.write({ table: 'hostTokens', key: host, value: null })
  draft.event('host.token-revoked', host, `the token of host ${host} was taken back`, operation)
  return done(draft, operation, 'host-token', host, 'taken back')
}

export function applyHostTokenUsed(draft: Draft, entry: EntryOf<'HostTokenUsed'>): null {
  const { host, secretHash, keyHash, address } = entry
  const { hosts, hostTokens, removedHosts } = draft.state.tables
  const token = hostTokens.get(host)
  const doing = `let host ${host} join`
  if (!token || token.secretHash !== secretHash)
    return draft.refuse('TOKEN_REFUSED', `${doing}: its token is not known; it was taken back or replaced`, { host })
  if (token.use !== null && token.use.keyHash !== keyHash)
    draft.refuse('TOKEN_REFUSED', `${doing}: its token was used before, from ${token.use.address}; make another one`, {
      host,
    })
  if (token.expiresAtMs <= draft.atMs) {
    const minutes = Math.ceil((draft.atMs - token.expiresAtMs) / 60_000)
    draft.refuse('TOKEN_REFUSED', `${doing}: its token expired ${minutes} min ago; make another one`, { host })
  }
  const holder = [...hosts.values()].find((other) => other.address === address && other.name !== host)
  if (holder)
    draft.refuse('NAME_TAKEN', `${doing}: address ${address} is that of host ${holder.name}`, { host, address })
  if (token.use !== null) return null
  draft.write({ table: 'hostTokens', key: host, value: { ...token, use: { keyHash, address, atMs: draft.atMs } } })
  if (removedHosts.has(host)) draft.write({ table: 'removedHosts', key: host, value: null })
  draft.event('host.certified', host, `host ${host} was given a certificate for ${address}`, null)
  return null
}

export function applyHostRemoved(draft: Draft, { operation, host: name, force }: EntryOf<'HostRemoved'>): Operation {
  const before = begunBefore(draft, operation, 'host-remove', name)
  if (before) return before
  const host = draft.host(name)
  const { state } = draft
  const doing = `remove host ${name}`
  const busy = operationOnHost(state, name)
  if (busy) draft.refuse('BUSY', `${doing}: operation ${busy.id} works on it; cancel it first`, { operation: busy.id })
  const containers = containersOf(state, name)
  if (containers.length > 0) refuseContainers(draft, name, containers, force)
  const images = imagesOnlyOn(state, name, host.images)
  if (images.length > 0 && !force) {
    const text = `${doing}: ${named(images)} would be lost, which no other host has; export what is needed, or say --force`
    draft.refuse('WRONG_STATE', text, { host: name, images })
  }
  refuseVolumes(draft, name, force)
  const lost = containers.map((container) => loseContainer(draft, name, container, operation))
  lost.push(...loseVolumes(draft, name, operation))
  draft.write({ table: 'hosts', key: name, value: null })
  for (const table of ['silences', 'losses', 'hostTokens'] as const)
    if (state.tables[table].has(name)) draft.write({ table, key: name, value: null })
  forgetOldest(draft)
  draft.write({ table: 'removedHosts', key: name, value: { host: name, atMs: draft.atMs } })
  draft.event('host.removed', name, `host ${name} was removed from the cluster`, operation)
  return done(
    draft,
    operation,
    'host-remove',
    name,
    lost.length === 0 ? 'removed' : `removed; lost: ${lost.join(', ')}`,
  )
}

/** Only of a host that is dead for sure they may be forgotten: one that lives would run them on, with addresses that others are given. */
function refuseContainers(draft: Draft, host: string, containers: readonly StoredContainer[], force: boolean): void {
  const dead = draft.state.tables.losses.get(host)?.sure === true
  const busy = containers.find(({ operation }) => operation !== null && draft.state.running.has(operation))
  if (dead && force && busy === undefined) return
  const names = named(containers.map(({ name }) => name))
  const doing = `remove host ${host}: ${names} ${containers.length === 1 ? 'is' : 'are'} there`
  if (dead && force && busy !== undefined)
    draft.refuse('BUSY', `${doing}, and operation ${busy.operation} works on ${busy.name}; cancel it first`, { host })
  const way = !draft.state.tables.silences.has(host)
    ? `say drover host evacuate ${host} first`
    : dead
      ? 'with --force they are forgotten, and their disks and snapshots lost'
      : `and it is silent; if it is dead for sure: drover host lost ${host} --i-am-sure, then drover host remove ${host} --force`
  draft.refuse('WRONG_STATE', `${doing}; ${way}`, { host, containers: containers.length })
}

/** Of those that no container has: the others would have kept the host. */
function refuseVolumes(draft: Draft, host: string, force: boolean): void {
  const volumes = volumesOn(draft.state, host)
  if (volumes.length === 0 || force) return
  const names = named(volumes.map(({ name }) => `volume ${name}`))
  const way = 'give them to a container there and move that, delete them, or say --force'
  draft.refuse('WRONG_STATE', `remove host ${host}: ${names} would be lost; ${way}`, { host, volumes: volumes.length })
}

/** Gives back how the operation names it. */
function loseContainer(draft: Draft, host: string, container: StoredContainer, operation: string): string {
  const { id, name, snapshots = [] } = container
  draft.write({ table: 'containers', key: id, value: null })
  const disk = snapshots.length === 0 ? 'its disk' : `its disk and ${snapshots.length} snapshots`
  draft.event('container.lost', name, `${name} was forgotten with host ${host}, and ${disk} with it`, operation)
  return snapshots.length === 0 ? name : `${name} (and ${snapshots.length} snapshots)`
}

export function hostTokenViews(state: ClusterState, nowMs: number): HostToken[] {
  return [...state.tables.hostTokens.values()]
    .map((token) => viewOf(token, nowMs))
    .sort((left, right) => (left.host < right.host ? -1 : 1))
}

function viewOf({ host, createdAtMs, expiresAtMs, use }: StoredHostToken, nowMs: number): HostToken {
  const state = use !== null ? 'used' : expiresAtMs <= nowMs ? 'expired' : 'open'
  return { host, state, createdAtMs, expiresAtMs, usedAtMs: use?.atMs ?? null, usedBy: use?.address ?? null }
}

/** What is there, was there and is not cleaned up, or is on its way there. */
function containersOf(state: ClusterState, host: string): StoredContainer[] {
  return [...state.tables.containers.values()]
    .filter((container) => {
      const operation = container.operation === null ? undefined : state.tables.operations.get(container.operation)
      const { source, destination } = operation?.migration ?? {}
      return [container.host, source, destination].includes(host)
    })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
}

function imagesOnlyOn(state: ClusterState, name: string, digests: readonly string[]): string[] {
  const elsewhere = new Set([...state.tables.hosts.values()].flatMap((host) => (host.name === name ? [] : host.images)))
  return [...state.tables.images.values()]
    .filter(({ digest }) => digests.includes(digest) && !elsewhere.has(digest))
    .map((image) => `image ${image.name}`)
    .sort()
}

function forgetOldest(draft: Draft): void {
  const removed = [...draft.state.tables.removedHosts.values()]
  if (removed.length < mostRemovedHosts) return
  removed.sort((left, right) => left.atMs - right.atMs || (left.host < right.host ? -1 : 1))
  const oldest = removed[0]
  if (oldest) draft.write({ table: 'removedHosts', key: oldest.host, value: null })
}

const named = (names: readonly string[]): string =>
  names.length > mostNamed
    ? `${names.slice(0, mostNamed).join(', ')} and ${names.length - mostNamed} more`
    : names.join(', ')

function done(draft: Draft, id: string, kind: 'host-token' | 'host-remove', target: string, message: string) {
  const operation = beginOperation(draft, { id, kind, target, phase: 'done', message })
  return endOperation(draft, operation, { state: 'done', message, error: null })
}
