// What running containers use at the moment, asked of each, a few at once.

import type { DroverClient } from '@drover/client'
import type { Container } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'

export type ContainerUsage = Awaited<ReturnType<typeof askUsage>>

/** Containers asked at once. */
const parallel = 8

/** By name. Those that don't run, or are gone since they were listed, are left out. */
export async function usageOf(
  client: DroverClient,
  containers: readonly Container[],
): Promise<Map<string, ContainerUsage>> {
  const running = containers.filter(({ state }) => state === 'running' || state === 'frozen')
  const usage = new Map<string, ContainerUsage>()
  const queue = running.map(({ name }) => name)
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      try {
        usage.set(name, await askUsage(client, name))
      } catch (error) {
        if (!(error instanceof DroverError)) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  return usage
}

const askUsage = (client: DroverClient, name: string) => client.inside(name, 'usage', { fileSystems: false })
