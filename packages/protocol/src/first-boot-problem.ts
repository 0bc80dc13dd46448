// What can be said of user data without cloud-init, which alone reads it: how it begins.

import type { FirstBoot } from './first-boot.ts'

/** Inside: what the commands of a first boot without cloud-init have written. */
export const firstBootLog = '/var/log/drover-first-boot.log'

/** What cloud-init tells the kinds of user data by. */
const beginnings = [
  '#cloud-config',
  '#!',
  '#include',
  '#cloud-boothook',
  '#part-handler',
  '## template:',
  'Content-Type:',
  'MIME-Version:',
]

/** Why it can't be meant; null: nothing is wrong with how it begins. */
export function firstBootProblem({ userData, vendorData }: FirstBoot): string | null {
  for (const [name, text] of Object.entries({ 'user data': userData, 'vendor data': vendorData })) {
    if (text === undefined || beginnings.some((beginning) => text.startsWith(beginning))) continue
    return `${name}: the first line must be #cloud-config or #!…, it is ${JSON.stringify(text.split('\n')[0]?.slice(0, 60))}`
  }
  return null
}
