// The NATS subjects: one cluster and host never hears another's.

import { Name, paths, subjects } from '@drover/protocol'
import { Value } from '@drover/schema'
import fc from 'fast-check'
import t from 'tap'

const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)

t.test('different clusters and hosts have different subjects, none with a wildcard', async (t) => {
  fc.assert(
    fc.property(fc.tuple(name, name), fc.tuple(name, name), (one, other) => {
      if (one.join('.') === other.join('.')) return true
      return subjects.assignments(...one) !== subjects.assignments(...other)
    }),
  )
  fc.assert(
    fc.property(name, name, (cluster, host) => {
      if (!Value.Check(Name, cluster)) return true
      const all = [subjects.assignments(cluster, host), subjects.reports(cluster), subjects.pull(cluster)]
      return new Set(all).size === all.length && all.every((subject) => /^[a-z0-9.-]+$/.test(subject))
    }),
  )
  t.equal(subjects.assignments('main', 'a'), 'drover.main.host.a.assignments')
})

t.test('every path of the API is below its version, the description excepted', async (t) => {
  const made = Object.values(paths).map((path) =>
    typeof path === 'string' ? path : (path as (name: string, action: string) => string)('x', 'start'),
  )
  for (const path of made) t.match(path, /^\/(v1\/|openapi\.json$)/)
})
