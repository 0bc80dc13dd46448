// The network of a container as its own root would see and change it, by the machine's tools in the container's network namespace.

import { execFileSync } from 'node:child_process'

export class NetworkInside {
  readonly #pid: number

  constructor(pid: number) {
    this.#pid = pid
  }

  /** What the script prints; it throws what it says on standard error. */
  sh(script: string): string {
    const enter = ['-t', String(this.#pid), '-n', 'sh', '-ec', script]
    return execFileSync('nsenter', enter, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  }

  /** All that is configured, without what is counted, drawn by lot or another on each host. */
  configuration(): Record<string, string[]> {
    const lines = (script: string) => this.sh(script).trimEnd().split('\n')
    const plain = (line: string) => line.replace(/@if\d+|@\S+/, '').trim()
    return {
      links: lines('ip -o -d link')
        .map((line) => plain(line).replace(/ (\w+_timer) +\S+/g, ''))
        .map((line) => line.replace(/ link-netnsid \d+/, '').replace(/ +(numtxqueues|gso_max_size) .*/, '')),
      addresses: lines('ip -o addr').map((line) => line.replace(/( tentative)?( *\\)? +valid_lft .*/, '').trim()),
      routes: lines('ip route show table all; ip -6 route show table all')
        .filter((line) => !line.includes('kernel'))
        .map(plain),
      rules: lines('ip rule; ip -6 rule'),
      neighbours: lines('ip neigh show nud permanent; ip neigh show proxy').map(plain).sort(),
    }
  }

  /** Rules, without what they counted, and the connections that are known, without what is left of their time. */
  firewall(): { rules: string[]; connections: string[] } {
    const lines = (script: string) => this.sh(script).trimEnd().split('\n')
    return {
      rules: lines('iptables-legacy-save; ip6tables-legacy-save; nft -s list ruleset')
        .filter((line) => !line.startsWith('#'))
        .map((line) => line.replace(/ \[\d+:\d+\]$/, '').replace(/ expires \w+/, '')),
      connections: lines('conntrack -L 2>/dev/null').map((line) =>
        line.replace(/^(\w+ +\d+) \d+/, '$1').replace(/ use=\d+/, ''),
      ),
    }
  }

  setting(path: string): string {
    return this.sh(`cat /proc/sys/net/${path}`).trim()
  }
}
