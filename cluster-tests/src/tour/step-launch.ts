// Chapter: an image, thirty containers, and where they were packed and why.

import { rounded, seconds } from '../figures.ts'
import { containersOn, type TourContext } from './context.ts'

export async function launchMany({
  lab,
  client,
  narrator,
  options,
  figures,
  ...rest
}: TourContext): Promise<Pick<TourContext, 'traveller' | 'home'>> {
  const { containers: count } = options
  narrator.chapter(`${count} system containers`)
  const built = await narrator.show(lab, ['image', 'build', 'busybox'])
  narrator.check(built === 0, 'an image was made from this machine’s busybox, without a network')

  const began = performance.now()
  const code = await narrator.show(lab, ['launch', 'web', '--count', String(count)])
  const tookMs = performance.now() - began
  figures.launch_seconds = rounded(tookMs / 1000)
  const containers = await client.containers()
  const running = containers.filter((container) => container.state === 'running')
  narrator.check(
    code === 0 && running.length === count,
    `${running.length} of ${count} run, ${seconds(tookMs)} after the command`,
  )
  const processes = running.filter((container) => container.initPid !== null && container.starts === 1)
  narrator.check(processes.length === count, 'each has an init of its own, started once')

  const hosts = await client.hosts()
  narrator.line()
  narrator.line('Where they were packed:')
  for (const host of hosts) {
    const here = containersOn(containers, host.name).length
    const share = Math.round((100 * host.requested.memoryBytes) / host.capacity.memoryBytes)
    narrator.line(`  ${host.name}  ${'█'.repeat(here).padEnd(count)} ${here} (memory ${share} % promised)`)
  }
  const home = [...hosts].sort((left, right) => right.containers - left.containers)[0]?.name ?? rest.home
  const traveller = containersOn(containers, home)[0]?.name ?? rest.traveller
  const shown = await narrator.show(lab, ['explain', traveller])
  narrator.check(shown === 0, 'the scheduler says why')
  return { home, traveller }
}
