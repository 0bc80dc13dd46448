// What must be the same wherever a container runs, given out when its launch is applied, the same by every replica. Serials are never
// reused. The smallest free uid range is given; addresses go round by serial, so that one is not given again while anybody may still
// remember whose it was.

import type { Identity } from '@drover/protocol'
import { thisAddress6, thisMac } from './chosen-identity.ts'
import type { Draft } from './draft.ts'
import { nextSerial } from './state.ts'

/** First uid given to containers: above what distributions give to users and services. */
const firstUid = 1_000_000
const uidsPerContainer = 65_536
/** uid ranges must end below 2^32 − 1. */
const maxSlots = Math.floor((2 ** 32 - 2 - firstUid) / uidsPerContainer)
/** The first addresses of the network are the hosts'. */
const reservedAddresses = 256

export interface IdentityRequest {
  machineId: string
  network: string
  network6?: string
  gateway: string | null
  /** What was asked for: IPv4, IPv6 and MAC. */
  address?: string
  address6?: string
  mac?: string
}

export function allocateIdentity(draft: Draft, request: IdentityRequest): Identity {
  const { state } = draft
  const serial = nextSerial(state)
  return {
    serial,
    uidBase: firstUid + freeSlot(draft) * uidsPerContainer,
    mac: request.mac === undefined ? macOf(serial) : thisMac(draft, request.mac),
    ipv4:
      request.address === undefined
        ? freeAddress(draft, request.network, serial)
        : thisAddress(draft, request.network, request.address),
    ...ipv6Of(draft, request, serial),
    gateway: request.gateway,
    machineId: request.machineId,
  }
}

function ipv6Of(draft: Draft, { network6, address6: asked }: IdentityRequest, serial: number): { ipv6?: string } {
  if (asked !== undefined) return { ipv6: thisAddress6(draft, network6, asked) }
  return network6 === undefined ? {} : { ipv6: address6(draft, network6, serial) }
}

function freeSlot(draft: Draft): number {
  const used = new Set<number>()
  for (const { identity } of draft.state.tables.containers.values()) {
    used.add((identity.uidBase - firstUid) / uidsPerContainer)
  }
  const slot = smallestFree(used, 0, maxSlots)
  return slot ?? draft.refuse('LIMIT_REACHED', `allocate a uid range: all ${maxSlots} are used`, { limit: maxSlots })
}

/** Locally administered (02), 64 for ours, then the serial. */
function macOf(serial: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(serial / 2 ** shift) % 256)
  return ['02', '64', ...bytes.map((byte) => byte.toString(16).padStart(2, '0'))].join(':')
}

function freeAddress(draft: Draft, network: string, serial: number): string {
  const range = parseNetwork(network)
  if (!range) return draft.refuse('BAD_REQUEST', `allocate an address: ${network} is not an IPv4 network`, { network })
  const used = new Set(usedAddresses(draft).map(({ address }) => address - range.first))
  // The last address is the broadcast address.
  const last = range.size - 1
  const wanted = reservedAddresses + ((serial - 1) % Math.max(1, last - reservedAddresses))
  const offset = smallestFree(used, wanted, last) ?? smallestFree(used, reservedAddresses, last)
  if (offset === null) {
    const limit = Math.max(range.size - 1 - reservedAddresses, 0)
    return draft.refuse('LIMIT_REACHED', `allocate an address: all ${limit} of ${network} are used`, { network, limit })
  }
  return `${formatAddress(range.first + offset)}/${range.prefix}`
}

/** The one that was asked for, if it may be given. */
function thisAddress(draft: Draft, network: string, asked: string): string {
  const range = parseNetwork(network)
  const address = parseAddress(asked)
  const refuse = (why: string) => draft.refuse('BAD_REQUEST', `address ${asked}: ${why}`, { address: asked, network })
  if (!range || address === null) return refuse('it is no IPv4 address')
  const offset = address - range.first
  if (offset < 0 || offset >= range.size) return refuse(`it is not in ${network}, the network of the containers`)
  if (offset < reservedAddresses) return refuse(`the first ${reservedAddresses} of ${network} are the hosts’`)
  if (offset === range.size - 1) return refuse(`it is the broadcast address of ${network}`)
  const owner = usedAddresses(draft).find((each) => each.address === address)?.name
  return owner === undefined ? `${asked}/${range.prefix}` : refuse(`it is ${owner}’s`)
}

function usedAddresses({ state }: Draft): { name: string; address: number }[] {
  return [...state.tables.containers.values()].flatMap(({ name, identity }) => {
    const address = parseAddress(identity.ipv4.split('/')[0] ?? '')
    return address === null ? [] : [{ name, address }]
  })
}

/** The serial is the interface identifier: there are enough addresses never to use one twice. */
function address6(draft: Draft, network: string, serial: number): string {
  const prefix = /^([0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,3})::\/64$/.exec(network)?.[1]
  if (prefix === undefined) {
    return draft.refuse('BAD_REQUEST', `allocate an address: ${network} is not an IPv6 network with a prefix of 64`, {
      network,
    })
  }
  const [high, low] = [Math.floor(serial / 65_536), serial % 65_536].map((part) => part.toString(16))
  return `${prefix}::1:${high}:${low}/64`
}

function smallestFree(used: ReadonlySet<number>, from: number, below: number): number | null {
  for (let candidate = from; candidate < below; candidate += 1) if (!used.has(candidate)) return candidate
  return null
}

export function parseNetwork(network: string): { first: number; size: number; prefix: number } | null {
  const [text, bits, ...rest] = network.split('/')
  const address = parseAddress(text ?? '')
  const prefix = /^\d{1,2}$/.test(bits ?? '') ? Number(bits) : Number.NaN
  if (rest.length > 0 || address === null || !(prefix >= 8 && prefix <= 30)) return null
  const size = 2 ** (32 - prefix)
  return { first: Math.floor(address / size) * size, size, prefix }
}

function parseAddress(text: string): number | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null
  return parts.reduce((address, part) => address * 256 + Number(part), 0)
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}
