// Placement groups that aren't as their rule says any more: hosts were lost, emptied or full when members were placed, or the
// rule came later. Members are moved one by one to where the rule wants them; a rule that can't be met says so.

import type { GroupRule } from '../snapshot.ts'
import { type ContainerSnapshot, compareNames, useOf } from './container-snapshot.ts'
import type { Layout } from './layout.ts'
import type { LoadMap } from './load-map.ts'

export interface GroupRepair {
  container: ContainerSnapshot
  from: number
  to: number
  detail: string
}

/** Moves the repairs in `layout` and `loads`. */
export function groupRepairs(
  layout: Layout,
  loads: LoadMap,
  mayMove: (container: ContainerSnapshot, to: number) => boolean,
): { moves: GroupRepair[]; stuck: { container: string; detail: string }[] } {
  const moves: GroupRepair[] = []
  const stuck: { container: string; detail: string }[] = []
  for (const [rule, members] of groupsOf(layout)) {
    const moved = new Set<ContainerSnapshot>()
    for (;;) {
      const drifted = driftedMember(layout, rule, members, moved)
      if (drifted === null) break
      const { container, better } = drifted
      moved.add(container)
      const from = layout.whereIs(container)
      const to = evenest(layout, loads, container, (host) => better(host) && mayMove(container, host))
      const detail = drifted.detail
      if (to < 0) {
        if (rule.strict) stuck.push({ container: container.demand.name, detail: `${detail}; no host can take it` })
        continue
      }
      moves.push({ container, from, to, detail })
      layout.move(container, to)
      loads.move(useOf(container), from, to)
    }
  }
  return { moves, stuck }
}

function groupsOf(layout: Layout): [GroupRule, ContainerSnapshot[]][] {
  const groups = new Map<string, [GroupRule, ContainerSnapshot[]]>()
  layout.hosts.forEach((_, host) => {
    for (const container of layout.on(host)) {
      const rule = container.demand.group
      if (rule === undefined) continue
      const known = groups.get(rule.name)
      if (known) known[1].push(container)
      else groups.set(rule.name, [rule, [container]])
    }
  })
  return [...groups.values()].sort(([left], [right]) => compareNames(left.name, right.name))
}

interface Drifted {
  container: ContainerSnapshot
  /** Hosts where the rule would be broken less. */
  better: (host: number) => boolean
  detail: string
}

/** A member in a domain that has too many of them (spread), or away from where most are (pack); null: all is well. */
function driftedMember(
  layout: Layout,
  rule: GroupRule,
  members: readonly ContainerSnapshot[],
  tried: ReadonlySet<ContainerSnapshot>,
): Drifted | null {
  const domain = (host: number) => domainOf(layout, rule, host)
  const counts = new Map<string, number>()
  for (const member of members) {
    const key = domain(layout.whereIs(member))
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  const count = (host: number) => counts.get(domain(host)) ?? 0
  const movable = members
    .filter((member) => member.movable && !tried.has(member))
    .sort(
      (left, right) => left.residentBytes - right.residentBytes || compareNames(left.demand.name, right.demand.name),
    )
  if (rule.kind === 'spread') {
    const most = rule.strict ? (rule.maxPerDomain ?? 1) : Math.ceil(members.length / domains(layout, rule))
    const container = movable.find((member) => count(layout.whereIs(member)) > most)
    if (!container) return null
    const here = count(layout.whereIs(container))
    const detail = `${here} members of group ${rule.name} share ${rule.topology} ${domain(layout.whereIs(container))}, where ${most} may`
    return { container, better: (host) => count(host) < most, detail }
  }
  const [home, most] = [...counts].sort(([a, m], [b, n]) => n - m || compareNames(a, b))[0] ?? ['', 0]
  const container = movable.find((member) => domain(layout.whereIs(member)) !== home)
  if (!container) return null
  const detail = `${most} of ${members.length} members of group ${rule.name} are on ${rule.topology} ${home}, ${container.demand.name} is not`
  return { container, better: (host) => domain(host) === home, detail }
}

function domainOf(layout: Layout, { topology }: GroupRule, host: number): string {
  const { name, rack, zone } = layout.hosts[host]!
  return topology === 'host' ? name : topology === 'rack' ? (rack ?? '') : (zone ?? '')
}

/** How many of them can take members. */
function domains(layout: Layout, rule: GroupRule): number {
  const usable = layout.hosts.flatMap(({ ready, cordoned }, host) =>
    ready && !cordoned ? [domainOf(layout, rule, host)] : [],
  )
  return Math.max(1, new Set(usable).size)
}

/** The host after whose taking the cluster is most even. */
function evenest(
  layout: Layout,
  loads: LoadMap,
  container: ContainerSnapshot,
  allowed: (host: number) => boolean,
): number {
  const from = layout.whereIs(container)
  const use = useOf(container)
  let best = -1
  let most = Number.NEGATIVE_INFINITY
  for (let host = 0; host < layout.hosts.length; host++) {
    if (host === from || !allowed(host) || !layout.takes(container, host)) continue
    const relief = loads.relief(use, from, host)
    if (relief > most) {
      best = host
      most = relief
    }
  }
  return best
}
