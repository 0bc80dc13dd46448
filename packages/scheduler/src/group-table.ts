// Placement groups on the rows of the model: each domain of a topology has a number, and a group counts its members per
// domain in an array, with how many domains have how many members, so that neither a rule nor a preference looks at hosts.

import { domainOf } from './groups.ts'
import type { GroupRule, HostSnapshot } from './snapshot.ts'

type Topology = GroupRule['topology']

interface Domains {
  /** Number of each row's domain. */
  ofSlot: Int32Array
  slots: number[][]
}

export interface GroupMembers {
  domains: Domains
  /** Domain → members, where there are any: groups are small and domains may be many. */
  counts: Map<number, number>
  /** Index: members; value: how many domains have so many. */
  histogram: number[]
}

export class GroupTable {
  readonly #hosts: readonly HostSnapshot[]
  /** Group → row → members. */
  readonly #members = new Map<string, Map<number, number>>()
  readonly #domains = new Map<Topology, Domains>()
  readonly #groups: Record<Topology, Map<string, GroupMembers>> = { host: new Map(), rack: new Map(), zone: new Map() }

  constructor(hosts: readonly HostSnapshot[]) {
    this.#hosts = hosts
    for (const [slot, { groups }] of hosts.entries()) {
      for (const [name, count] of Object.entries(groups ?? {})) this.#rowsOf(name).set(slot, count)
    }
  }

  membersOf(rule: GroupRule): GroupMembers {
    const known = this.#groups[rule.topology].get(rule.name)
    if (known) return known
    const domains = this.#domainsOf(rule.topology)
    const members = { domains, counts: new Map<number, number>(), histogram: [domains.slots.length] }
    for (const [slot, count] of this.#rowsOf(rule.name)) {
      if (count > 0) addMembers(members, domains.ofSlot[slot]!, count)
    }
    this.#groups[rule.topology].set(rule.name, members)
    return members
  }

  change(slot: number, name: string, sign: 1 | -1): void {
    const rows = this.#rowsOf(name)
    rows.set(slot, (rows.get(slot) ?? 0) + sign)
    for (const topology of ['host', 'rack', 'zone'] as const) {
      const members = this.#groups[topology].get(name)
      if (members) addMembers(members, members.domains.ofSlot[slot]!, sign)
    }
  }

  #rowsOf(name: string): Map<number, number> {
    let rows = this.#members.get(name)
    if (!rows) {
      rows = new Map()
      this.#members.set(name, rows)
    }
    return rows
  }

  #domainsOf(topology: Topology): Domains {
    const known = this.#domains.get(topology)
    if (known) return known
    const numbers = new Map<string, number>()
    const domains: Domains = { ofSlot: new Int32Array(this.#hosts.length), slots: [] }
    for (const [slot, host] of this.#hosts.entries()) {
      const name = domainOf(host, topology)
      let number = numbers.get(name)
      if (number === undefined) {
        number = numbers.size
        numbers.set(name, number)
        domains.slots.push([])
      }
      domains.ofSlot[slot] = number
      domains.slots[number]!.push(slot)
    }
    this.#domains.set(topology, domains)
    return domains
  }
}

/** Of the domain that the row is in. */
export function membersIn({ domains, counts }: GroupMembers, slot: number): number {
  return counts.get(domains.ofSlot[slot]!) ?? 0
}

/** The strict rule, as a test of rows; null: every row passes. */
export function strictTest(rule: GroupRule, members: GroupMembers): ((slot: number) => boolean) | null {
  if (rule.kind === 'spread') {
    const limit = rule.maxPerDomain ?? 1
    return (slot) => membersIn(members, slot) < limit
  }
  if (members.histogram.length === 1) return null
  return (slot) => membersIn(members, slot) > 0
}

/** Numbers of members per domain, from what the preference likes best. */
export function preferenceLevels(rule: GroupRule, { histogram }: GroupMembers): number[] {
  const levels = [...histogram.keys()].filter((members) => histogram[members]! > 0)
  return rule.kind === 'spread' ? levels : levels.reverse()
}

/** The rows of the domains with so many members, or null when there are more than `most`. */
export function rowsOfLevel(
  { domains, counts, histogram }: GroupMembers,
  level: number,
  most: number,
): number[] | null {
  if (histogram[level]! > most) return null
  const rows: number[] = []
  for (const [domain, slots] of domains.slots.entries()) {
    if ((counts.get(domain) ?? 0) !== level) continue
    if (rows.length + slots.length > most) return null
    for (const slot of slots) rows.push(slot)
  }
  return rows
}

function addMembers({ counts, histogram }: GroupMembers, domain: number, members: number): void {
  const before = counts.get(domain) ?? 0
  const now = before + members
  histogram[before]! -= 1
  if (now === 0) counts.delete(domain)
  else counts.set(domain, now)
  while (histogram.length <= now) histogram.push(0)
  histogram[now]! += 1
  while (histogram.length > 1 && histogram[histogram.length - 1] === 0) histogram.pop()
}
