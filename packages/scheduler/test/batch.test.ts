// A batch is planned as one: what is large first, and with its own sizes in mind.

import { Model, placeBatch, planBatch } from '@drover/scheduler'
import t from 'tap'
import { demand, GiB, host, numbers } from './cluster.ts'

const sized = (name: string, cpuMilli: number, gib: number) =>
  demand({ name, requests: { cpuMilli, memoryBytes: gib * GiB, diskBytes: 0, pids: 1 } })

t.test('the large one finds its room though it comes last', async (t) => {
  const hosts = ['a', 'b'].map((name) => host(name))
  const demands = [sized('s1', 1, 1), sized('s2', 1, 1), sized('s3', 1, 1), sized('s4', 1, 1), sized('large', 1, 4)]
  const plan = placeBatch(new Model({ hosts }, 1), demands)
  t.equal(plan.refused, 0)
  t.equal(plan.opened, 2)
  t.equal(new Set(plan.hosts.slice(0, 4)).size, 1)
})

t.test('refusals are counted, in the order of the demands', async (t) => {
  const plan = planBatch({ hosts: [host('a')] }, [sized('too-large', 1, 5), sized('fits', 1, 1)], 1)
  t.same(plan, { hosts: [null, 'a'], refused: 1, opened: 1 })
})

/** Cores (thousandths) and GiB, as a real cluster has them. */
const sizes = [
  [3152, 5.5],
  [11_300, 48],
  [11_908, 46],
  [8000, 30],
  [12_500, 56],
  [32_000, 48],
  [18_708, 63],
] as const

t.test('looking ahead is never worse than not, and sometimes saves a host', async (t) => {
  const capacity = { cpuMilli: 96_000, memoryBytes: 384 * GiB, diskBytes: 0, pids: 10_000 }
  const hosts = Array.from({ length: 100 }, (_, index) => host(`h${index}`, { capacity }))
  const draw = numbers(5)
  let better = 0
  for (let round = 0; round < 10; round++) {
    const demands = Array.from({ length: 400 }, (_, index) => {
      const [cpuMilli, gib] = sizes[draw(sizes.length)]!
      return demand({ name: `c${index}`, requests: { cpuMilli, memoryBytes: gib * GiB, diskBytes: 0, pids: 1 } })
    })
    const plain = placeBatch(new Model({ hosts }, round), demands)
    const ahead = planBatch({ hosts }, demands, round)
    t.ok(ahead.refused < plain.refused || (ahead.refused === plain.refused && ahead.opened <= plain.opened))
    if (ahead.opened < plain.opened) better += 1
  }
  t.ok(better > 0, `better in ${better} of 10`)
})
