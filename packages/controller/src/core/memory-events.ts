// What of a container's memory is told to those who follow the events: each once, when it begins.

import type { Draft } from './draft.ts'
import type { StoredContainer } from './state.ts'

export function announceMemory(draft: Draft, before: StoredContainer, after: StoredContainer): void {
  const { name, host, memory, operation } = after
  if (!memory) return
  const tell = (kind: string, message: string) => draft.event(`container.${kind}`, name, message, operation)
  if (memory.nearLimit && !before.memory?.nearLimit)
    tell('memory-near-limit', `${name} on ${host} is near its limit of memory`)
  const kills = newKills(before, after)
  if (kills > 0) {
    const who =
      memory.killed === null ? `${kills} of its processes` : `${memory.killed}${kills > 1 ? ` (one of ${kills})` : ''}`
    tell('oom-killed', `${name} on ${host} is at its limit of memory: the kernel has killed ${who}`)
  }
  if (memory.frozenAtLimit && !before.memory?.frozenAtLimit) {
    tell(
      'memory-frozen',
      `${name} on ${host} was frozen at its limit of memory; drover set ${name} memory=… lets it go on`,
    )
  }
}

/** With those that its host has just told of: what the kernel counts is gone after a stop or a move. */
export function countKills(before: StoredContainer, after: StoredContainer, atMs: number): StoredContainer {
  const kills = newKills(before, after)
  if (kills === 0) return after
  // A state of an earlier version has counted none.
  const known = before.oomKills?.total ?? before.memory?.oomKills ?? 0
  return { ...after, oomKills: { total: known + kills, lastAtMs: atMs, last: after.memory?.killed ?? null } }
}

/** The kernel counts for its cgroup: a reboot keeps that and goes on counting, another start or host begins again. */
function newKills({ memory: before }: StoredContainer, { memory: after }: StoredContainer): number {
  const [told, seen] = [before?.oomKills ?? 0, after?.oomKills ?? 0]
  return seen >= told ? seen - told : seen
}
