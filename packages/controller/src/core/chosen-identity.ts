// A MAC or IPv6 address that a launch asks for, given if nobody has it and it never comes to another container by itself.

import type { Draft } from './draft.ts'

/** What drover gives out begins so; a chosen one that does would meet a later container's. */
const ownMacs = '02:64:'
/** The bridge's of `drover up`, on every host. */
const bridgeMac = '02:d0:00:00:00:01'
/** The first interface identifiers of the network are the hosts'. */
const reservedIdentifiers = 256n
/** Those that are made of serials are 0:1:x:x. */
const ofSerials = 1n

export function thisMac(draft: Draft, asked: string): string {
  const mac = asked.toLowerCase()
  const refuse = (why: string) => draft.refuse('BAD_REQUEST', `MAC ${asked}: ${why}`, { mac: asked })
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) return refuse('it is not six bytes like 02:00:5e:00:53:01')
  if ((Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) return refuse('it is a group’s, its first byte is odd')
  if (mac === '00:00:00:00:00:00') return refuse('it is nobody’s')
  if (mac.startsWith(ownMacs)) return refuse(`those that begin with ${ownMacs} are given out by drover`)
  if (mac === bridgeMac) return refuse('it is that of the hosts’ bridges')
  const owner = [...draft.state.tables.containers.values()].find(({ identity }) => identity.mac === mac)
  return owner === undefined ? mac : refuse(`it is ${owner.name}’s`)
}

/** `network`: the containers' /64, if they have one. */
export function thisAddress6(draft: Draft, network: string | undefined, asked: string): string {
  const refuse = (why: string) => draft.refuse('BAD_REQUEST', `address ${asked}: ${why}`, { address: asked, network })
  if (network === undefined) return refuse('the containers of this cluster have no IPv6')
  const address = parseAddress6(asked)
  const first = parseAddress6(network.slice(0, network.lastIndexOf('/')))
  if (address === null || first === null) return refuse('it is no IPv6 address')
  if (address >> 64n !== first >> 64n) return refuse(`it is not in ${network}, the network of the containers`)
  const identifier = address & 0xffff_ffff_ffff_ffffn
  if (identifier < reservedIdentifiers) return refuse(`the first ${reservedIdentifiers} of ${network} are the hosts’`)
  if (identifier >> 32n === ofSerials) return refuse('those that end in ::1:x:x are given out by drover')
  const owner = [...draft.state.tables.containers.values()].find(
    ({ identity }) => parseAddress6(identity.ipv6?.split('/')[0] ?? '') === address,
  )
  return owner === undefined ? `${asked.toLowerCase()}/64` : refuse(`it is ${owner.name}’s`)
}

/** RFC 4291, 2.2, without an IPv4 part; null: it is none. */
export function parseAddress6(text: string): bigint | null {
  const halves = text.toLowerCase().split('::')
  if (halves.length > 2) return null
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')))
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null
  const groups = [...head, ...Array.from({ length: missing }, () => '0'), ...tail]
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/.test(group))) return null
  return groups.reduce((address, group) => (address << 16n) | BigInt(`0x${group}`), 0n)
}
