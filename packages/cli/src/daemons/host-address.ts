// The address by which other hosts reach a machine: one that the machine has.

import { networkInterfaces } from 'node:os'
import { DroverError } from '@drover/protocol/plain'

/** All of 127/8 is the machine's own, whatever its interfaces say. */
const loopbackNetwork = /^127\./

export function checkAddress(address: string): void {
  const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map((each) => each.address))
  if (own.includes(address) || loopbackNetwork.test(address)) return
  const usable = own.filter((each) => !loopbackNetwork.test(each) && !each.includes(':'))
  throw new DroverError(
    'BAD_REQUEST',
    `drover up --address ${address}: this machine doesn’t have that address; it has ${usable.join(', ') || 'none but loopback'}`,
  )
}
