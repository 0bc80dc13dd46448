// What an engine itself says of a container, whether or not its host can be reached: over its socket, which is a file.

import { EngineClient, type EngineContainer } from '@drover/engine'

/** null: it has nothing of it. */
export async function engineState(socket: string, container: string): Promise<EngineContainer | null> {
  const engine = await EngineClient.connect(socket)
  try {
    const { containers } = await engine.call('list', {})
    return containers.find((each) => each.container === container) ?? null
  } finally {
    engine.close()
  }
}
