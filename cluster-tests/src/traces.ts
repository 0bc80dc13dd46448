// What hosts still have of a container that left them, once they had time to take everything away.

import type { Container } from '@drover/protocol'
import { type Lab, waitUntil } from '@drover/testkit/lab'

/** Cleaning up on a busy machine. */
const cleanDeadlineMs = 90_000

/** One line per trace, with its host; empty once all of these hosts are as if the container had never been there. */
export async function tracesLeft(lab: Lab, hosts: string[], container: Container): Promise<string[]> {
  let left: string[] = []
  try {
    await waitUntil(`${hosts.join(', ')} to be clean`, cleanDeadlineMs, async () => {
      const found = await Promise.all(
        hosts.map(async (host) => (await lab.tracesOf(host, container)).map((trace) => `${trace} on ${host}`)),
      )
      left = found.flat()
      return left.length === 0
    })
  } catch (error) {
    if (left.length === 0) left = [(error as Error).message]
  }
  return left
}
