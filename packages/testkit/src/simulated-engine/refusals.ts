// What a simulated engine refuses of the settings of a container, as the native one does.

import type { EngineSpec, EngineState } from '@drover/engine'
import { DroverError, wholeSecurity } from '@drover/protocol'
import type { ContainerRecord } from './record.ts'

export const hasProcesses: ReadonlySet<EngineState> = new Set(['running', 'frozen', 'checkpointed', 'restored'])

/** As the native engine: it is in force from the next start on, and files are owned for the one or the other. */
export function refuseSecurity({ spec, state }: ContainerRecord, wanted: EngineSpec['security']): void {
  const [has, wants] = [wholeSecurity(spec.security), wholeSecurity(wanted ?? spec.security)]
  if (JSON.stringify(has) === JSON.stringify(wants)) return
  if (hasProcesses.has(state))
    throw new DroverError('WRONG_STATE', `change the security of ${spec.name}: it is ${state}, must be stopped`)
  if (has.privileged !== wants.privileged)
    throw new DroverError('BAD_REQUEST', `field \`privileged\`: ${spec.name} was made otherwise`)
}

/** A simulated host has every device but those of a path that says it hasn't. */
export function refuseDevices(devices: EngineSpec['devices'] = {}): void {
  for (const [name, device] of Object.entries(devices)) {
    if ('source' in device && device.source.startsWith('/missing/')) {
      throw new DroverError('DEVICE_NOT_FOUND', `device ${name}: ${device.source} is not on this host`)
    }
  }
}

/** A simulated kernel has every variable but those that are said to be missing. */
export function refuseSysctls(sysctls: EngineSpec['sysctls'] = {}): void {
  const missing = Object.keys(sysctls).find((name) => name.startsWith('net.missing.'))
  if (missing !== undefined) {
    throw new DroverError('BAD_REQUEST', `sysctl ${missing}: this host's kernel gives containers none of their own`)
  }
}
