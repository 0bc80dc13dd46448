// The network of a laboratory: each host's bridge br0 is linked to one bridge in a fabric namespace; the machine and a client
// namespace have a leg in the fabric too, so that the CLI, a browser and outside TCP clients reach API and containers.
// Bridges forward at once (no STP), keep a MAC of their own (else it changes with every veth that comes or goes), and
// nothing but containers and the client speaks IPv6.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { DroverError } from '@drover/protocol'
import { must } from './run.ts'
import { allStates } from './state-file.ts'

const sysctl6 = '/proc/sys/net/ipv6/conf/eth0/disable_ipv6'
const quiet = [
  'net/ipv6/conf/all/disable_ipv6=1',
  'net/ipv6/conf/default/disable_ipv6=1',
  // An address that moves is announced by gratuitous ARP: take it at once.
  'net/ipv4/conf/all/arp_notify=1',
  // As on a host where nothing has loaded br_netfilter: what bridges forward is not also shown to the firewall.
  ...['iptables', 'ip6tables', 'arptables'].map((of) => `net/bridge/bridge-nf-call-${of}=0`),
]

/** Listened on at an address of the network that is claimed: the kernel gives it to one process only, and takes it back by itself. */
const claimPort = 47_077

/**
 * Claims the part of 10/8 (or 127/8) that no interface, route or other laboratory uses: `10.X`, until this process ends. Of two
 * laboratories that start at the same moment, from whatever checkout, only one gets it.
 */
export async function claimNetwork(first: 10 | 127): Promise<string> {
  const taken = takenNetworks()
  for (let second = 78; second < 255; second++) {
    if (!taken.has(`${first}.${second}`) && (await claim(second))) return `${first}.${second}`
  }
  throw new DroverError('LIMIT_REACHED', `make laboratory: every network ${first}.78 to ${first}.254 is taken`)
}

function takenNetworks(): Set<string> {
  const taken = new Set<string>(allStates().map((state) => state.network))
  for (const list of Object.values(networkInterfaces())) {
    for (const { address } of list ?? []) taken.add(address.split('.').slice(0, 2).join('.'))
  }
  for (const line of readFileSync('/proc/net/route', 'utf8').split('\n').slice(1)) {
    const destination = line.split('\t')[1]
    if (destination === undefined) continue
    // Little-endian hex: the last byte is the first of the address.
    taken.add(`${Number.parseInt(destination.slice(6, 8), 16)}.${Number.parseInt(destination.slice(4, 6), 16)}`)
  }
  return taken
}

function claim(second: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy())
    server.on('error', () => resolve(false))
    server.listen(claimPort, `127.${second}.255.254`, () => {
      server.unref()
      resolve(true)
    })
  })
}

/** Address of the nth host; the machine's own leg is .254, the client's .253. */
export const hostAddress = (network: string, index: number) => `${network}.0.${index + 1}`
/** A unique local /64 (RFC 4193) for the containers of a laboratory whose network is `10.X`; the client has an address of it. */
export const containerNetwork6 = (network: string) => `fd64:0:${Number(network.split('.')[1]).toString(16)}::/64`
const clientAddress6 = (network: string) => containerNetwork6(network).replace('::/64', '::c/64')
export const machineAddress = (network: string) => `${network}.0.254`
export const clientAddress = (network: string) => `${network}.0.253`

export interface Legs {
  id: string
  network: string
  fabricPid: number
  clientPid: number
  hosts: { name: string; pid: number; index: number }[]
}

/** Links everything together; all namespaces exist already. */
export async function linkHosts({ id, network, fabricPid, clientPid, hosts }: Legs): Promise<void> {
  await inNamespace(fabricPid, [...bridge('fabric', mac(id, 0))])
  const machineLeg = `${id}-m`
  await ip([
    `link add name ${id} type veth peer name ${machineLeg}`,
    `link set ${machineLeg} netns ${fabricPid}`,
    `address add ${machineAddress(network)}/16 dev ${id}`,
    `link set ${id} up`,
    `link add name ${id}-c type veth peer name ${id}-ce`,
    `link set ${id}-c netns ${fabricPid}`,
    `link set ${id}-ce netns ${clientPid}`,
    ...hosts.flatMap((host) => [
      `link add name ${id}-h${host.index} type veth peer name ${id}-u${host.index}`,
      `link set ${id}-h${host.index} netns ${fabricPid}`,
      `link set ${id}-u${host.index} netns ${host.pid}`,
    ]),
  ])
  await inNamespace(fabricPid, [
    ...[machineLeg, `${id}-c`, ...hosts.map((host) => `${id}-h${host.index}`)].flatMap((leg) => [
      `link set ${leg} master fabric up`,
    ]),
  ])
  await inNamespace(clientPid, [
    `link set ${id}-ce name eth0`,
    `address add ${clientAddress(network)}/16 dev eth0`,
    'link set eth0 up',
  ])
  await must('nsenter', [
    ...['--target', String(clientPid), '--net', '--', 'sh', '-c'],
    `[ ! -e ${sysctl6} ] || { echo 0 > ${sysctl6} && ip address add ${clientAddress6(network)} dev eth0 nodad; }`,
  ])
  for (const host of hosts) {
    await inNamespace(host.pid, [
      ...bridge('br0', mac(id, host.index + 1)),
      `link set ${id}-u${host.index} name up0`,
      'link set up0 master br0 up',
      `address add ${hostAddress(network, host.index)}/16 dev br0`,
    ])
  }
}

const bridge = (name: string, address: string) => [
  `link add name ${name} address ${address} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  `link set ${name} up`,
]

/** A locally administered address that differs between laboratories and hosts. */
const mac = (id: string, n: number) =>
  ['02', 'd0', id.slice(-4, -2), id.slice(-2), '00', n.toString(16).padStart(2, '0')].join(':')

const ip = (lines: string[]) => must('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` })

async function inNamespace(pid: number, lines: string[]): Promise<void> {
  const sysctls = quiet.map((setting) => `/proc/sys/${setting}`.split('='))
  const script = [
    ...sysctls.map(([path, value]) => `[ ! -e ${path} ] || echo ${value} > ${path}`),
    `ip -batch - <<'END'\n${lines.join('\n')}\nEND`,
  ].join('\n')
  await must('nsenter', ['--target', String(pid), '--net', '--', 'sh', '-c', script])
}
