// What a project may use in the whole cluster. A demand over quota is refused by every host, with the same words.

import { describeAmount, resourceNames } from './explain.ts'
import type { Refusal } from './feasible.ts'
import type { ClusterSnapshot, Demand } from './snapshot.ts'

const resources = ['memoryBytes', 'cpuMilli', 'diskBytes', 'pids'] as const

export function quotaRefusal(projects: ClusterSnapshot['projects'], demand: Demand): Refusal | null {
  if (demand.project === undefined || !projects || !Object.hasOwn(projects, demand.project)) return null
  const { quota, used } = projects[demand.project]!
  const over = resources.flatMap((key) => {
    const limit = quota[key]
    if (limit === undefined || used[key] + demand.requests[key] <= limit) return []
    const amount = (value: number) => describeAmount(key, value)
    return `${resourceNames[key]}: ${amount(used[key])} of ${amount(limit)} used, needs ${amount(demand.requests[key])}`
  })
  if (quota.containers !== undefined && used.containers + 1 > quota.containers) {
    over.push(`containers: ${used.containers} of ${quota.containers} used`)
  }
  if (quota.privileged === false && demand.privileged) over.push('its containers may not be privileged')
  return over.length === 0 ? null : { name: 'PROJECT_QUOTA', detail: `project ${demand.project}: ${over.join('; ')}` }
}
