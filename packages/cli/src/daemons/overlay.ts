// The wire between the bridges of `drover up` hosts: a VXLAN (RFC 7348) of unicast UDP, so that containers of all hosts are in one network and keep
// their addresses when they move. To whom what is for everybody goes, each host's agent keeps up (agent/src/overlay-peers.ts). The outer
// packets may be fragmented, so containers need no smaller MTU. It is not encrypted.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { DroverError } from '@drover/protocol/plain'
import { nftThere } from './nat.ts'

export const overlayLink = 'drover0x'
/** VXLAN network identifier and the port that IANA gave it. */
const identifier = 7077
const port = 4789
const bridgeMtu = 1500
const table = 'table bridge drover-overlay'

/** Idempotent; another address than before makes the link anew. `gatewayMac`: the bridge's, the same on every host, which must not cross. */
export function ensureOverlay(bridge: string, address: string, gatewayMac: string): void {
  if (existsSync(`/sys/class/net/${overlayLink}`)) {
    if (ip('-d', 'link', 'show', overlayLink).includes(` local ${address} `)) return
    ip('link', 'delete', overlayLink)
  }
  const kind = ['type', 'vxlan', 'id', String(identifier), 'local', address, 'dstport', String(port)]
  ip('link', 'add', overlayLink, 'mtu', String(bridgeMtu), ...kind)
  ip('link', 'set', overlayLink, 'master', bridge, 'up')
  if (nftThere()) keepGatewaysApart(gatewayMac)
}

export function removeOverlay(): void {
  if (nftThere()) silently(`${table}\ndelete ${table}\n`)
  if (existsSync(`/sys/class/net/${overlayLink}`)) ip('link', 'delete', overlayLink)
}

/** Each host answers for the gateway to its own containers. A kernel without nftables for bridges logs the others' answers, and goes on. */
function keepGatewaysApart(mac: string): void {
  silently(`${table}\ndelete ${table}\n${table} {
  chain output {
    type filter hook postrouting priority 0; policy accept;
    oifname ${overlayLink} ether saddr ${mac} drop
  }
}\n`)
}

function silently(rules: string): void {
  try {
    execFileSync('nft', ['-f', '-'], { input: rules, stdio: ['pipe', 'ignore', 'ignore'] })
  } catch {}
}

function ip(...args: string[]): string {
  try {
    return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (cause) {
    const said = String((cause as { stderr?: string }).stderr || (cause as Error).message).trim()
    throw new DroverError('WRONG_STATE', `drover up: ip ${args.join(' ')}: ${said.split('\n')[0]}`, { cause })
  }
}
