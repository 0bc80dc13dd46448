// An operation by its id, or by the beginning of it that `drover ops ls` shows.

import type { DroverClient } from '@drover/client'
import { DroverError, type Operation } from '@drover/protocol'
import { UsageError } from './failure.ts'

/** Ids shown in tables are at least this long. */
const shortestId = 8

export async function findOperation(client: DroverClient, id: string): Promise<Operation> {
  try {
    return await client.operation(id)
  } catch (error) {
    if (!(error instanceof DroverError && error.code === 'OPERATION_NOT_FOUND')) throw error
    const [first, second] = (await client.operations()).filter((each) => each.id.startsWith(id))
    if (!first) throw error
    if (second) throw new UsageError(`several operations begin with ${id}: ${first.id}, ${second.id}, …`)
    return first
  }
}

/** For each id its shortest beginning, 8 characters or more, that no other of them has. */
export function shortenIds(ids: readonly string[]): Map<string, string> {
  const sorted = [...new Set(ids)].sort()
  const shared = (left: string, right: string | undefined) => {
    let length = 0
    while (right !== undefined && length < left.length && left[length] === right[length]) length++
    return length
  }
  return new Map(
    sorted.map((id, index) => {
      const needed = 1 + Math.max(shared(id, sorted[index - 1]), shared(id, sorted[index + 1]))
      return [id, id.slice(0, Math.max(shortestId, needed))]
    }),
  )
}
