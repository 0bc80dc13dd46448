// The loads of hosts as columns, and how uneven they are. Imbalance is the standard deviation of the hosts' utilisation,
// weighted by capacity, over cpu and memory together: 0 when every host is used to the same share. Its square is, but for
// a constant, the sum of load²/capacity, so the effect of a move is known without looking at any third host; and as each
// planned move lowers it, no sequence of moves at constant load can come back to where it was: moves can't go in circles.

import type { Use } from './container-snapshot.ts'

const resources = 2

export class LoadMap {
  readonly size: number
  readonly #capacity: Float64Array
  readonly #load: Float64Array
  readonly #total: Float64Array
  /** Square of the mean utilisation, per resource. */
  readonly #meanSquare: Float64Array
  #squares = 0

  constructor(capacities: readonly Use[], loads: readonly Use[]) {
    this.size = capacities.length
    this.#capacity = columns(capacities)
    this.#load = columns(loads)
    this.#total = new Float64Array(resources)
    this.#meanSquare = new Float64Array(resources)
    for (let resource = 0; resource < resources; resource++) {
      let load = 0
      for (let host = 0; host < this.size; host++) {
        this.#total[resource]! += this.#capacity[host * resources + resource]!
        load += this.#load[host * resources + resource]!
      }
      const total = this.#total[resource]!
      this.#meanSquare[resource] = total > 0 ? (load / total) ** 2 : 0
    }
    this.#recount()
  }

  /** 0: all hosts equally used. 0.1: they are typically 10 points of utilisation off the mean. */
  get imbalance(): number {
    return Math.sqrt(Math.max(0, this.#squares))
  }

  /** By how much a move lowers the square of the imbalance; negative when it raises it. */
  relief(use: Use, from: number, to: number): number {
    let change = 0
    for (let resource = 0; resource < resources; resource++) {
      const total = this.#total[resource]!
      if (total === 0) continue
      const amount = resource === 0 ? use.cpuMilli : use.memoryBytes
      const source = from * resources + resource
      const target = to * resources + resource
      change += square(this.#load[source]! - amount, this.#capacity[source]!) / total
      change -= square(this.#load[source]!, this.#capacity[source]!) / total
      change += square(this.#load[target]! + amount, this.#capacity[target]!) / total
      change -= square(this.#load[target]!, this.#capacity[target]!) / total
    }
    return -change / resources
  }

  /**
   * What a move gains, as the gap between two hosts (in shares of a host) that the best possible move would close with
   * the same effect. Unlike the imbalance itself it doesn't shrink as the cluster grows. 0 when the move makes things worse.
   */
  gain(use: Use, from: number, to: number): number {
    return Math.sqrt(Math.max(0, 2 * this.size * this.relief(use, from, to)))
  }

  move(use: Use, from: number, to: number): void {
    this.#squares -= this.relief(use, from, to)
    this.#shift(from, use, -1)
    this.#shift(to, use, 1)
  }

  /** The larger share of cpu and memory that is used. */
  utilisation(host: number): number {
    return Math.max(this.#share(host, 0), this.#share(host, 1))
  }

  utilisationWith(host: number, use: Use): number {
    return Math.max(this.#share(host, 0, use.cpuMilli), this.#share(host, 1, use.memoryBytes))
  }

  memoryBytes(host: number): number {
    return this.#load[host * resources + 1]!
  }

  memoryShareWith(host: number, bytes: number): number {
    return this.#share(host, 1, bytes)
  }

  #share(host: number, resource: number, more = 0): number {
    const index = host * resources + resource
    const capacity = this.#capacity[index]!
    return capacity === 0 ? 0 : (this.#load[index]! + more) / capacity
  }

  #shift(host: number, use: Use, sign: number): void {
    this.#load[host * resources]! += sign * use.cpuMilli
    this.#load[host * resources + 1]! += sign * use.memoryBytes
  }

  #recount(): void {
    let squares = 0
    for (let resource = 0; resource < resources; resource++) {
      const total = this.#total[resource]!
      if (total === 0) continue
      let sum = 0
      for (let host = 0; host < this.size; host++) {
        const index = host * resources + resource
        sum += square(this.#load[index]!, this.#capacity[index]!)
      }
      squares += sum / total - this.#meanSquare[resource]!
    }
    this.#squares = squares / resources
  }
}

/** A host without any of a resource can't be balanced on it. */
function square(load: number, capacity: number): number {
  return capacity === 0 ? 0 : (load * load) / capacity
}

function columns(rows: readonly Use[]): Float64Array {
  const all = new Float64Array(rows.length * resources)
  rows.forEach(({ cpuMilli, memoryBytes }, row) => {
    all[row * resources] = cpuMilli
    all[row * resources + 1] = memoryBytes
  })
  return all
}
