// The options of a launch that say what a container may do beyond what every container may, and the warning that goes with the one that
// gives the host away.

import type { Security } from '@drover/protocol'
import { capabilityNames } from '@drover/protocol/plain'
import { type Command, InvalidArgumentError } from 'commander'

export interface SecurityFlags {
  capAdd?: string[]
  capDrop?: string[]
  nesting?: boolean
  privileged?: boolean
}

export function addSecurityOptions(command: Command): void {
  command
    .option('--cap-add <name>', 'keep a capability that containers lack, e.g. SYS_TIME; repeatable', parseCapabilities)
    .option('--cap-drop <name>', 'take a capability away, e.g. NET_RAW; repeatable', parseCapabilities)
    .option('--nesting', 'containers inside: they may mount proc and sysfs of their own')
    .option('--privileged', 'no user namespace: ROOT INSIDE IS ROOT OF THE HOST')
}

/** Undefined: as usual. */
export function securityOf(
  { capAdd, capDrop, nesting, privileged }: SecurityFlags,
  set: Security = {},
): Security | undefined {
  const security: Security = {
    ...set,
    ...(capAdd === undefined ? {} : { addCapabilities: capAdd }),
    ...(capDrop === undefined ? {} : { dropCapabilities: capDrop }),
    ...(nesting ? { nesting } : {}),
    ...(privileged ? { privileged } : {}),
  }
  return Object.keys(security).length === 0 ? undefined : security
}

/** `NET_ADMIN`, `cap_net_admin` or several with commas, added to those before. */
export function parseCapabilities(text: string, before: string[] = []): string[] {
  const names = text.split(',').map((name) => name.trim().toUpperCase().replace(/^CAP_/, ''))
  const unknown = names.find((name) => !capabilityNames.includes(name))
  if (unknown !== undefined) {
    throw new InvalidArgumentError(
      `${JSON.stringify(unknown)} is no capability: write e.g. NET_ADMIN, as in capabilities(7).`,
    )
  }
  return [...new Set([...before, ...names])]
}

/** `keyctl` or several with commas; whether there are such calls, the host says. */
export function parseSystemCalls(text: string): string[] {
  const names = text.split(',').map((name) => name.trim())
  const wrong = names.find((name) => !/^[a-z0-9_]{1,64}$/.test(name))
  if (wrong === undefined) return [...new Set(names)]
  throw new InvalidArgumentError(`${JSON.stringify(wrong)} is no system call: write e.g. keyctl, as in syscalls(2).`)
}

export const privilegedWarning = (names: readonly string[]): string =>
  `WARNING: ${names.join(', ')}: privileged. Root inside is root of the host, and nothing but good will keeps it inside. Give it only to who may be root there.`
