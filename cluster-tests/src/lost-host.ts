// For stories of lost hosts: what an engine says of a container, and the wait for its new start elsewhere.

import type { Container } from '@drover/protocol'
import { engineState, waitUntil } from '@drover/testkit/lab'
import { type Story, settleDeadlineMs } from './stories.ts'

/** Lease, loss and a new start, on a busy machine. */
const healDeadlineMs = 100_000

export const engineOf = (story: Story, host: string, { id }: Container) =>
  engineState(story.lab.host(host).engineSocketFromHere, id)

/** A container that may begin anew, once its engine holds it to the lease and a second host has its image. */
export async function launchHealable(story: Story, name: string): Promise<Container> {
  await story.must('healing', 'on', '--lost-after', '30s')
  await story.must('launch', name, '--heal', 'fresh')
  const container = await story.container(name)
  await waitUntil('the lease, and its image on a second host', settleDeadlineMs, async () => {
    const hosts = await story.client.hosts()
    const holders = hosts.filter(({ images }) => images.includes(container.spec.image))
    return holders.length > 1 && (await engineOf(story, container.host, container))?.leased === true
  })
  return container
}

/** Until it runs elsewhere; at each look its old host must not let it run any more when it does. */
export async function healedElsewhere(story: Story, before: Container): Promise<Container> {
  return await waitUntil(`${before.name} to run elsewhere`, healDeadlineMs, async () => {
    const now = await story.container(before.name).catch(() => null)
    if (now === null || now.host === before.host) return null
    const there = await engineOf(story, before.host, before).catch(() => null)
    if (there?.state === 'running') throw new Error(`${before.name} runs on ${before.host} and belongs to ${now.host}`)
    return now.state === 'running' && now.operation === null ? now : null
  })
}
