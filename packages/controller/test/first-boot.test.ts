// What hosts say of first boots is kept with the container and told once; what an image can't be told is refused at the launch.

import type { FirstBootOutcome } from '@drover/protocol'
import t from 'tap'
import { ModelCluster } from './support/model-cluster.ts'

t.test('first boot: kept with the container, its end told once, and a copy has one of its own', async (t) => {
  const made = new ModelCluster([{ name: 'a' }])
  made.launch('web', 'a')
  made.settle()
  const says = (state: FirstBootOutcome['state'] | null, message = '') => {
    const { containers } = made.hosts.get('a')!
    const { firstBoot: _before, ...seen } = containers.get(made.container('web').id)!
    const firstBoot = state && { state, by: 'drover' as const, message }
    containers.set(seen.container, { ...seen, ...(firstBoot === null ? {} : { firstBoot }) })
    const before = made.events.length
    made.settle()
    return made.events.slice(before).map(({ kind, message }) => `${kind}: ${message}`)
  }
  t.same(says('running', 'packages'), [])
  t.match(made.container('web'), { firstBoot: { state: 'running', message: 'packages' } })
  t.match(says('failed', 'packages ended with 100'), [
    /^container.first-boot-failed: the first boot of web on a has failed: packages ended with 100$/,
  ])
  t.same(says(null), [], 'an agent that hasn’t looked yet takes nothing back')
  t.match(made.container('web'), { firstBoot: { state: 'failed' } })
  t.match(says('done'), [/^container.first-boot-done: /])
})
