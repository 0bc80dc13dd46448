// How the containers of `drover up` reach the outside: the machine forwards, and one nftables table of ours, `drover-nat`, gives what leaves
// the containers' network the machine's own address. Nothing but that table is ever changed in the firewall. IPv4 only: turning
// on IPv6 forwarding would make the machine ignore the router advertisements that its own address may come from.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol/plain'

export const natTable = 'drover-nat'
const forwarding = '/proc/sys/net/ipv4/ip_forward'
/** Kept while forwarding is on by us: so that it is turned off again, and only then. */
const forwardedFile = (data: string) => join(data, 'forwarding-by-drover')

/** In one transaction, whether the table is there or not. */
export const natRules = (network: string): string => `table ip ${natTable}
delete table ip ${natTable}
table ip ${natTable} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${network} ip daddr != ${network} masquerade
  }
}
`

/** Idempotent. `network`: the containers', e.g. 10.77.0.0/16. */
export function ensureNat(data: string, network: string): void {
  nft(['-f', '-'], natRules(network))
  if (readFileSync(forwarding, 'utf8').trim() === '1') return
  writeFileSync(forwardedFile(data), '')
  try {
    writeFileSync(forwarding, '1\n')
  } catch (cause) {
    rmSync(forwardedFile(data), { force: true })
    throw new DroverError('WRONG_STATE', `turn on forwarding in ${forwarding}: ${(cause as Error).message}`, { cause })
  }
}

/** The table, and forwarding if it was off before. Nothing there: nothing done. */
export function removeNat(data: string): void {
  if (nftThere() && tables().includes(`table ip ${natTable}`)) nft(['delete', 'table', 'ip', natTable])
  if (!existsSync(forwardedFile(data))) return
  writeFileSync(forwarding, '0\n')
  rmSync(forwardedFile(data), { force: true })
}

export function nftThere(): boolean {
  return (process.env.PATH ?? '').split(':').some((directory) => existsSync(join(directory, 'nft')))
}

const tables = (): string[] => nft(['list', 'tables']).split('\n')

function nft(args: string[], input = ''): string {
  try {
    return execFileSync('nft', args, { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] })
  } catch (cause) {
    const said = String((cause as { stderr?: string }).stderr || (cause as Error).message).trim()
    throw new DroverError('WRONG_STATE', `nft ${args.join(' ')}: ${said.split('\n')[0]}`, { cause })
  }
}
