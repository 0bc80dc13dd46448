// Chapter: what the parts of drover themselves take.

import { mebibytes, median } from '../figures.ts'
import type { TourContext } from './context.ts'

/** Resident bytes of each kind of daemon, median over the hosts. */
export function residentByKind(lab: TourContext['lab']): Record<string, number> {
  const all = lab.resident()
  const kinds = [...new Set(all.map(({ kind }) => kind))]
  return Object.fromEntries(
    kinds.map((kind) => [kind, median(all.filter((each) => each.kind === kind).map(({ bytes }) => bytes))]),
  )
}

export async function tellCost({ lab, client, narrator, figures, home }: TourContext): Promise<void> {
  narrator.chapter('What drover itself takes')
  figures.rss.full = residentByKind(lab)
  for (const [kind, bytes] of Object.entries(figures.rss.full)) {
    const idle = figures.rss.idle[kind] ?? 0
    narrator.line(`${kind.padEnd(10)} ${mebibytes(bytes).padStart(9)} resident (${mebibytes(idle)} with no container)`)
  }
  const containers = await client.containers()
  const host = [...new Set(containers.map((container) => container.host))].sort(
    (left, right) =>
      containers.filter((at) => at.host === right).length - containers.filter((at) => at.host === left).length,
  )[0]
  const here = containers.filter((container) => container.host === host).length
  const engine = lab.resident().find((each) => each.host === host && each.kind === 'engine')?.bytes ?? 0
  figures.engine_bytes_per_container =
    here === 0 ? 0 : Math.max(0, Math.round((engine - (figures.rss.idle.engine ?? 0)) / here))
  narrator.line(
    `No process per container: the engine of ${host ?? home} grew by ${Math.round(figures.engine_bytes_per_container / 1024)} KiB for each of its ${here}.`,
  )
}
