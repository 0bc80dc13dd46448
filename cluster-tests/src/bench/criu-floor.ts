// The floor of a move: what CRIU alone needs to dump and to restore an idle busybox container. It is moved around the hosts by engines that load
// nothing of drover into CRIU, one move at a time.

import { DroverClient } from '@drover/client'
import { Lab } from '@drover/testkit/lab'
import { median } from '../figures.ts'
import { engineChildrenCpuMs } from './daemon-cpu.ts'
import { ended } from './ended.ts'

const warmUps = 3
const deadlineMs = 120_000

export interface CriuFloor {
  /** Dump plus restore, the median of all moves. */
  durationMs: number
  /** Processor time of a move: CRIU's, and that of the processes restored, which ended at its source. */
  cpuMs: number
}

export async function criuFloor(n: number, onProgress: (line: string) => void): Promise<CriuFloor> {
  const lab = await Lab.start({ onProgress, engineEnvironment: { DROVER_CRIU_PLAIN: '1' } })
  try {
    const client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
    await ended(client, client.buildImage({ recipe: 'busybox', name: 'busybox' }), deadlineMs)
    await ended(client, client.launch({ name: 'floor', image: 'busybox', memoryBytes: 64 << 20 }), deadlineMs)
    const durations: number[] = []
    let cpuBefore = 0
    for (let at = 0; at < n + warmUps; at++) {
      if (at === warmUps) cpuBefore = engineChildrenCpuMs(lab)
      const { host: home } = await client.container('floor')
      const hosts = lab.hosts.map(({ name }) => name).filter((name) => name !== home)
      const { migration } = await ended(
        client,
        client.move('floor', { host: hosts[at % hosts.length] as string }),
        deadlineMs,
      )
      const { dump_ms: dump = 0, restore_ms: restore = 0 } = migration?.figures ?? {}
      if (at >= warmUps) durations.push(dump + restore)
    }
    return { durationMs: median(durations), cpuMs: (engineChildrenCpuMs(lab) - cpuBefore) / n }
  } finally {
    await lab.down()
  }
}
