// Addresses of a host that containers listen at. Two can't have one, so what listens there keeps others away. An address is
// `tcp:10.0.0.1:80`, `udp:[::]:53` or `unix:/path`; one that is all addresses of its kind takes its port at each of them.

import type { Refusal } from './feasible.ts'

/** How many on the host listen at each address. */
export type Listens = Readonly<Record<string, number>>

/** The first address that is wanted and can't be had, or null. */
export function listenRefusal(taken: Listens | undefined, wanted: readonly string[] | undefined): Refusal | null {
  if (taken === undefined || wanted === undefined) return null
  for (const address of wanted) {
    const other = Object.keys(taken).find((each) => taken[each]! > 0 && overlap(each, address))
    if (other === undefined) continue
    const which = other === address ? '' : `, which ${other} takes`
    return { name: 'ADDRESS_IN_USE', detail: `a proxy of another container there listens at ${address}${which}` }
  }
  return null
}

/** Whether only one of them can be listened at. */
export function overlap(left: string, right: string): boolean {
  if (left === right) return true
  const [one, other] = [partsOf(left), partsOf(right)]
  if (one === null || other === null || one.kind !== other.kind || one.port !== other.port) return false
  return one.any || other.any
}

/** Null: a path. */
function partsOf(address: string): { kind: string; port: string; any: boolean } | null {
  const [, protocol, host, port] = /^(tcp|udp):(.*):(\d+)$/.exec(address) ?? []
  if (protocol === undefined || host === undefined || port === undefined) return null
  // IPv6 sockets take IPv6 only.
  return { kind: `${protocol}${host.startsWith('[') ? 6 : 4}`, port, any: host === '0.0.0.0' || host === '[::]' }
}

export function changedListens(taken: Listens | undefined, addresses: readonly string[], sign: number): Listens {
  const after: Record<string, number> = { ...taken }
  for (const address of addresses) after[address] = (after[address] ?? 0) + sign
  return after
}
