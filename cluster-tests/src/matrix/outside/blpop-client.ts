// A Redis client that is blocked in BLPOP whenever the container moves; what the check inside pushes must come out here, in order.

import { LineSocket } from './line-socket.ts'
import type { Check } from './main.ts'

export async function blpopClient([address = '']: string[]): Promise<Check> {
  const socket = await LineSocket.open(address, 6379)
  const block = () => socket.write('BLPOP queue 0\r\n')
  block()
  let asked = 0
  return async () => {
    asked++
    const lines: string[] = []
    while (lines.length < 5) lines.push(await socket.line())
    if (lines.at(-1) !== `item-${asked}`) throw new Error(`not item-${asked}: ${lines.join(' ')}`)
    block()
  }
}
