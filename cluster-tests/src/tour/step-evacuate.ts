// Chapter: a host is emptied; nothing is lost and nothing is restarted.

import { maximum, median, milliseconds, rounded, seconds } from '../figures.ts'
import { Witness } from '../witness.ts'
import { containersOn, type TourContext } from './context.ts'

export async function evacuate({ lab, client, narrator, figures, home }: TourContext): Promise<void> {
  const before = await client.containers()
  const leaving = containersOn(before, home)
  narrator.chapter(`Host ${home} is emptied`)
  if (lab.engine === 'native') narrator.line(`${leaving.length} clients outside stay connected, one to each container.`)
  const witnesses = await inTurns(leaving, async (container) => [await Witness.of(lab, container)])
  for (const witness of witnesses) witness.mark()
  const code = await narrator.show(lab, ['host', 'evacuate', home])

  const after = new Map((await client.containers()).map((container) => [container.name, container]))
  const verdicts = await inTurns(witnesses, async (witness) => {
    const container = after.get(witness.name)
    const verdict = container === undefined ? [] : [await witness.verdict(container)]
    witness.close()
    return verdict
  })
  const stayed = containersOn([...after.values()], home)
  const lost = before.filter(({ name }) => after.get(name)?.state !== 'running')
  const restarted = before.filter(({ name, starts }) => after.get(name)?.starts !== starts)
  const broken = verdicts.filter((verdict) => !verdict.unbroken)
  narrator.check(code === 0 && stayed.length === 0, `${home} is empty`, `${stayed.length} containers stayed`)
  narrator.check(lost.length === 0, `none of ${before.length} was lost`, lost.map(({ name }) => name).join(', '))
  narrator.check(restarted.length === 0, 'none was restarted', restarted.map(({ name }) => name).join(', '))
  narrator.check(
    broken.length === 0 && verdicts.length === leaving.length,
    `in each one a counter that lives only in memory went on${lab.engine === 'native' ? ', over the same connection' : ''}`,
    broken.map(({ name, detail }) => `${name}: ${detail}`).join('; '),
  )
  narrator.check(
    await everyContainerOnce(lab, [...after.values()]),
    `each runs on one host, once: ${lab.engine === 'native' ? 'counted by its processes' : 'as the engines say'}`,
  )

  const operation = (await client.operations())
    .filter(({ kind, target }) => kind === 'evacuate' && target === home)
    .sort((left, right) => right.createdAtMs - left.createdAtMs)[0]
  const tookMs = (operation?.endedAtMs ?? 0) - (operation?.createdAtMs ?? 0)
  const blackouts = verdicts.map(({ blackoutMs }) => blackoutMs).filter((value) => value !== null)
  const seen = blackouts.length > 0
  figures.evacuation = {
    containers: leaving.length,
    seconds: rounded(tookMs / 1000),
    blackout_ms_median: seen ? rounded(median(blackouts)) : null,
    blackout_ms_max: seen ? rounded(maximum(blackouts)) : null,
    restarts: restarted.length,
    lost: lost.length,
  }
  narrator.line(`${leaving.length} containers in ${seconds(tookMs)}`)
  if (seen) {
    narrator.line(
      `blackout as the clients saw it: median ${milliseconds(median(blackouts))}, longest ${milliseconds(maximum(blackouts))}`,
    )
  }
  const restored = await narrator.show(lab, ['host', 'restore', home])
  narrator.check(restored === 0, `${home} takes containers again`)
}

/** A few at a time: without a network each look costs a command. */
const atOnce = 4

async function inTurns<T, U>(items: readonly T[], act: (item: T) => Promise<U[]>): Promise<U[]> {
  const results: U[] = []
  for (let at = 0; at < items.length; at += atOnce) {
    results.push(...(await Promise.all(items.slice(at, at + atOnce).map(act))).flat())
  }
  return results
}

/** Whether what executes says the same as the API. */
async function everyContainerOnce(
  lab: TourContext['lab'],
  containers: { id: string; host: string }[],
): Promise<boolean> {
  for (const { id, host } of containers) {
    const hosts = await lab.hostsRunning(id)
    if (hosts.join() !== host) return false
  }
  return true
}
