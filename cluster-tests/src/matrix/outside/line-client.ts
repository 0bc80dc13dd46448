// Three connections to a line server (cluster-tests/workloads/README.md): each has its own sum, which only the memory of the server has.

import { LineSocket } from './line-socket.ts'
import type { Check } from './main.ts'

const connections = 3
const workers = 2

export async function lineClient([address = '', port = '']: string[]): Promise<Check> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => LineSocket.open(address, Number(port))))
  const sums = sockets.map(() => 0)
  let ticksBefore = -1
  let asked = 0
  return async () => {
    asked++
    let ticks = 0
    for (const [at, socket] of sockets.entries()) {
      const number = asked * 10 + at
      sums[at] = (sums[at] as number) + number
      socket.write(`add ${number}\n`)
      const line = await socket.line()
      const [, sum, counted, answered] = /^sum (\d+) ticks (\d+) workers (\d+)$/.exec(line) ?? []
      if (Number(sum) !== sums[at] || Number(answered) !== workers) throw new Error(`not sum ${sums[at]}: ${line}`)
      ticks = Number(counted)
    }
    // A move takes many times as long as a tick.
    if (ticks <= ticksBefore) throw new Error(`the timer stands still at ${ticks}`)
    ticksBefore = ticks
  }
}
