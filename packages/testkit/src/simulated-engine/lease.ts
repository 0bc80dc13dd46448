// The lease of a simulated engine: until when those containers may run that may be started elsewhere. Real time, since a lease is about
// nothing else; kept in a file, so that the next engine goes on with it.

import { readFileSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { join } from 'node:path'
import { DroverError } from '@drover/protocol'
import type { ContainerRecord } from './record.ts'

interface Known {
  bootId: string
  untilMs: number
  containers: Record<string, number>
}

export class Lease {
  readonly #file: string
  readonly #ended: () => void
  #known: Known
  #timer: NodeJS.Timeout | null = null

  constructor(stateDirectory: string, bootId: string, ended: () => void) {
    this.#file = join(stateDirectory, 'lease.json')
    this.#ended = ended
    const known = this.#read()
    this.#known = known?.bootId === bootId ? known : { bootId, untilMs: 0, containers: {} }
    this.#arm()
  }

  renew(untilMs: number, containers: Record<string, number>): void {
    this.#known = { ...this.#known, untilMs: Math.max(untilMs, this.#known.untilMs), containers }
    writeFileSync(this.#file, JSON.stringify(this.#known))
    this.#arm()
  }

  holds(record: ContainerRecord): boolean {
    return record.spec.limits.leased !== true || (this.names(record) && bootMs() < this.#known.untilMs)
  }

  names({ spec, epoch }: ContainerRecord): boolean {
    return spec.limits.leased === true && this.#known.containers[spec.container] === epoch
  }

  check(doing: string, record: ContainerRecord): void {
    if (this.holds(record)) return
    throw new DroverError('WRONG_STATE', `${doing} ${record.spec.container}: this host's lease is over`)
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer)
  }

  #arm(): void {
    this.close()
    this.#timer = setTimeout(() => this.#ended(), Math.max(0, this.#known.untilMs - bootMs()))
    this.#timer.unref()
  }

  #read(): Known | null {
    try {
      return JSON.parse(readFileSync(this.#file, 'utf8')) as Known
    } catch {
      return null
    }
  }
}

/** CLOCK_BOOTTIME. */
const bootMs = (): number => Math.round(uptime() * 1000)
