// A ping each millisecond from the client outside: the second view of a blackout, beside the TCP stream's. Echo requests are answered
// by the container's kernel side, so they say how long its address was away from the network; what is lost is not sent again.

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Container } from '@drover/protocol'
import type { Lab } from '@drover/testkit/lab'
import { maximum, median, rounded } from '../figures.ts'
import type { Load } from './migrate-workloads.ts'

const intervalSeconds = 0.001

/** Longest time between two answers, ms, and requests without one, both since the last mark. */
interface Stretch {
  gapMs: number
  lost: number
}

export function pingLoad(lab: Lab, container: Container): Load {
  const address = container.identity.ipv4.split('/')[0] as string
  const [program, ...prefix] = [...lab.clientPrefix, 'busybox', 'ping', '-i', String(intervalSeconds), address]
  const child: ChildProcess = spawn(program as string, prefix, { stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  const stretches: Stretch[] = []
  let lastAtMs = 0
  let lastSequence = 0
  createInterface({ input: child.stdout as NonNullable<typeof child.stdout> }).on('line', (line) => {
    const sequence = Number(/ seq=(\d+) /.exec(line)?.[1] ?? Number.NaN)
    if (Number.isNaN(sequence)) return
    const now = performance.now()
    const stretch = stretches.at(-1)
    if (stretch && lastAtMs > 0) {
      stretch.gapMs = Math.max(stretch.gapMs, now - lastAtMs)
      // Sequence numbers have 16 bits.
      stretch.lost += (sequence - lastSequence - 1) & 0xffff
    }
    lastAtMs = now
    lastSequence = sequence
  })
  return {
    mark: () => stretches.push({ gapMs: 0, lost: 0 }),
    async end() {
      child.kill('SIGKILL')
      await ended
      const gaps = stretches.map(({ gapMs }) => gapMs)
      const lost = stretches.map((stretch) => stretch.lost)
      return `ping each ms: no answer for ${rounded(median(gaps))} ms (most ${rounded(maximum(gaps))}), ${median(lost)} requests lost (most ${maximum(lost)})`
    },
  }
}
