// Before the first start of a container its disk gets what it is to be told (protocol's first-boot.ts): for an image with cloud-init a seed of
// its NoCloud source, which cloud-init takes once per instance id; for one without, what of it needs no running system, and a script for the
// rest (first-boot/). Writing it again is harmless: an agent that dies in the middle does so before the same start.

import { type Assignment, DroverError, type FirstBoot, firstBootPlan } from '@drover/protocol'
import { Disk } from '../first-boot/disk.ts'
import { cloudInit, instanceOf } from '../first-boot/place.ts'
import { writeFirstBoot } from '../first-boot/write-plan.ts'
import type { AgentParts } from '../parts.ts'

const seed = '/var/lib/cloud/seed/nocloud'

export async function prepareFirstBoot(parts: AgentParts, assignment: Assignment): Promise<void> {
  const { firstBoot } = assignment.spec
  if (firstBoot === undefined || parts.mirror.get(assignment.container)?.starts !== 0) return
  const disk = new Disk(parts, assignment.container)
  if (await disk.has(cloudInit)) return writeSeed(disk, assignment, firstBoot)
  try {
    await writeFirstBoot(disk, assignment, firstBootPlan(firstBoot))
  } catch (thrown) {
    const error = DroverError.from(thrown)
    if (error.code !== 'BAD_REQUEST') throw error
    throw new DroverError('WRONG_STATE', `start ${assignment.name}: first boot without cloud-init: ${error.message}`)
  }
}

async function writeSeed(disk: Disk, assignment: Assignment, firstBoot: FirstBoot): Promise<void> {
  await disk.makeDirectories(seed)
  for (const [name, text] of Object.entries(seedFiles(assignment, firstBoot)))
    await disk.write(`${seed}/${name}`, text, { mode: 0o600, uid: 0, gid: 0 })
}

/** As JSON, which is YAML: nothing of it has to be quoted for another language. */
export function seedFiles(assignment: Assignment, firstBoot: FirstBoot): Record<string, string> {
  const { userData = '#cloud-config\n{}\n', vendorData, sshKeys = [] } = firstBoot
  const metaData = {
    'instance-id': instanceOf(assignment),
    'local-hostname': assignment.name,
    ...(sshKeys.length === 0 ? {} : { 'public-keys': sshKeys }),
  }
  return {
    'user-data': userData,
    ...(vendorData === undefined ? {} : { 'vendor-data': vendorData }),
    // The engine has made the network before init runs.
    'network-config': `${JSON.stringify({ config: 'disabled' })}\n`,
    // The last: cloud-init takes a seed without it for none.
    'meta-data': `${JSON.stringify(metaData)}\n`,
  }
}
