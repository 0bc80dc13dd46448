// The bridge that the containers of `drover up` are linked to, with the address that is their gateway: the same, with the same MAC, on every
// host, so that a container that moves finds it again.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { DroverError } from '@drover/protocol/plain'
import { bridgeName, type NodeSettings } from './node-settings.ts'
import { ensureOverlay, removeOverlay } from './overlay.ts'

const bridgeMac = '02:d0:00:00:00:01'
/**
 * A bridge whose MTU was changed keeps it; else it has that of its smallest link (br_mtu_auto_adjust), and one container with a smaller one would make
 * smaller the packets of all. Setting what it has is no change.
 */
const keptMtus = [1499, 1500]

/** The bridge has a MAC of its own, else it would change with each container that comes or goes. */
export function ensureBridge(settings: NodeSettings): void {
  if (settings.bridge !== undefined) {
    if (existsSync(`/sys/class/net/${settings.bridge}/bridge`)) return
    throw new DroverError(
      'BAD_REQUEST',
      `drover up --bridge ${settings.bridge}: this machine has no bridge of that name`,
    )
  }
  const gateway = `${settings.network}.0.1`
  if (settings.joined && settings.joined.gateway !== gateway)
    throw new DroverError(
      'WRONG_STATE',
      `drover up: the cluster’s containers are in a network of its operator’s (${settings.network}.…); name the bridge that leads there: --bridge`,
    )
  if (!existsSync(`/sys/class/net/${bridgeName}`)) makeBridge(settings, gateway)
  if (settings.address !== undefined) ensureOverlay(bridgeName, settings.address, bridgeMac)
}

function makeBridge(settings: NodeSettings, gateway: string): void {
  const lines = [
    `link add name ${bridgeName} address ${bridgeMac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    ...keptMtus.map((mtu) => `link set ${bridgeName} mtu ${mtu}`),
    `address add ${gateway}/16 dev ${bridgeName}`,
    ...(settings.network6 !== undefined && newLinksSpeakIpv6()
      ? [`address add ${settings.network6.replace('::/64', '::1/64')} dev ${bridgeName} nodad`]
      : []),
    `link set ${bridgeName} up`,
  ]
  try {
    execFileSync('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n`, stdio: ['pipe', 'pipe', 'pipe'] })
  } catch (cause) {
    // Half a bridge would be taken for a whole one the next time.
    removeBridge()
    const said = String((cause as { stderr?: Buffer }).stderr ?? cause).trim()
    throw new DroverError('WRONG_STATE', `drover up: make bridge ${bridgeName}: ${said}`, { cause })
  }
}

/** Not where the kernel has none, or its operator has turned it off for new links. */
function newLinksSpeakIpv6(): boolean {
  const disabled = '/proc/sys/net/ipv6/conf/default/disable_ipv6'
  return existsSync(disabled) && readFileSync(disabled, 'utf8').trim() === '0'
}

/** Only when no container is left: they are attached to it. */
export function removeBridge(): void {
  removeOverlay()
  if (existsSync(`/sys/class/net/${bridgeName}`)) execFileSync('ip', ['link', 'delete', bridgeName])
}
