// Placement groups: members apart (spread) or together (pack), by host, rack or zone, as a rule or as a preference. Members
// are counted per domain of the topology; hosts that name no rack or zone share one nameless domain.

import type { Refusal } from './feasible.ts'
import type { GroupRule, HostSnapshot } from './snapshot.ts'

export interface GroupCounts {
  /** Domain → members. Domains without a member are missing or zero. */
  byDomain: Map<string, number>
  /** Most members in one domain. */
  most: number
}

export function domainOf(host: Pick<HostSnapshot, 'name' | 'rack' | 'zone'>, topology: GroupRule['topology']): string {
  if (topology === 'host') return host.name
  return (topology === 'rack' ? host.rack : host.zone) ?? ''
}

export function countGroup(hosts: readonly HostSnapshot[], rule: GroupRule): GroupCounts {
  const counts: GroupCounts = { byDomain: new Map(), most: 0 }
  for (const host of hosts) {
    const members = host.groups?.[rule.name] ?? 0
    if (members > 0) addMembers(counts, domainOf(host, rule.topology), members)
  }
  return counts
}

export function addMembers(counts: GroupCounts, domain: string, members: number): void {
  const now = (counts.byDomain.get(domain) ?? 0) + members
  counts.byDomain.set(domain, now)
  if (members > 0) counts.most = Math.max(counts.most, now)
  else counts.most = Math.max(0, ...counts.byDomain.values())
}

/** A strict rule that the domain breaks, or null. */
export function groupRefusal(rule: GroupRule, counts: GroupCounts, domain: string): Refusal | null {
  if (!rule.strict) return null
  const members = counts.byDomain.get(domain) ?? 0
  const where = domain === '' ? `its ${rule.topology}` : `${rule.topology} ${domain}`
  if (rule.kind === 'spread') {
    const limit = rule.maxPerDomain ?? 1
    if (members < limit) return null
    return {
      name: 'GROUP_SPREAD',
      detail: `${where} has ${members} of group ${rule.name}, at most ${limit} may be there`,
    }
  }
  if (counts.most === 0 || members > 0) return null
  return { name: 'GROUP_PACK', detail: `group ${rule.name} is elsewhere, and none of it in ${where}` }
}

/** How far the domain is from what a preference wants: 0 is best. Strict groups prefer nothing beyond their rule. */
export function groupPenalty(rule: GroupRule, counts: GroupCounts, domain: string): number {
  if (rule.strict) return 0
  const members = counts.byDomain.get(domain) ?? 0
  return rule.kind === 'spread' ? members : counts.most - members
}
