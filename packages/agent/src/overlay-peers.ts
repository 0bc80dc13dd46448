// To which hosts the overlay's link sends what is for everybody (broadcasts, and MACs that it has not seen yet): one entry per host in
// the link's forwarding table. The controller says who there is; what is there is asked of the kernel, so that a new agent goes on.

import { execFile } from 'node:child_process'
import type { Log } from './parts.ts'

const deadlineMs = 10_000
/** The MAC that stands for "everybody" in a VXLAN's forwarding table. */
const everybody = '00:00:00:00:00:00'
/** A host that others don't reach yet; sent there, everything would come back. */
const onLoopback = /^127\./

export class OverlayPeers {
  readonly #link: string
  readonly #log: Log
  #applied = ''
  #busy = false

  constructor(link: string, log: Log) {
    this.#link = link
    this.#log = log
  }

  /** The addresses of the other hosts. What comes while the last is carried out is left to the next. */
  async take(addresses: readonly string[]): Promise<void> {
    const wanted = [...new Set(addresses)].filter((address) => !onLoopback.test(address)).sort()
    if (this.#busy || wanted.join() === this.#applied) return
    this.#busy = true
    try {
      const there = peersIn(await this.#bridge('show'))
      for (const peer of wanted) if (!there.includes(peer)) await this.#bridge('append', peer)
      for (const peer of there) if (!wanted.includes(peer)) await this.#bridge('delete', peer)
      this.#applied = wanted.join()
    } catch (error) {
      this.#log.warn({ link: this.#link, error: (error as Error).message }, 'reach the other hosts’ containers')
    } finally {
      this.#busy = false
    }
  }

  #bridge(verb: 'show' | 'append' | 'delete', peer?: string): Promise<string> {
    const entry = peer === undefined ? [] : [everybody]
    const destination = peer === undefined ? [] : ['dst', peer]
    const args = ['fdb', verb, ...entry, 'dev', this.#link, ...destination]
    return new Promise((resolve, reject) => {
      execFile('bridge', args, { timeout: deadlineMs }, (error, stdout) => (error ? reject(error) : resolve(stdout)))
    })
  }
}

/** Of `bridge fdb show`. */
export function peersIn(table: string): string[] {
  return table.split('\n').flatMap((line) => {
    const [mac, ...words] = line.split(' ')
    const address = words[words.indexOf('dst') + 1]
    return mac === everybody && words.includes('dst') && address !== undefined ? [address] : []
  })
}
