// Pure: the devices of an assignment as the engine wants them, and whether it has them. A volume is a directory of this host, named by which
// volume and which copy of it: that of before a move is never taken for that of after it.

import type { EngineDevices } from '@drover/engine'
import type { Assignment, VolumeCopy } from '@drover/protocol'

export const volumeDirectoryName = ({ id, copy }: VolumeCopy): string => `${id}.${copy}`

/** Those that it has, and whether their directories may have to be made. */
export function volumesOf({ volumes = {} }: Pick<Assignment, 'volumes'>): (VolumeCopy & { fresh: boolean })[] {
  return Object.entries(volumes).map(([id, { copy, fresh }]) => ({ id, copy, fresh }))
}

export function engineDevices(
  { spec, volumes = {} }: Pick<Assignment, 'spec' | 'volumes'>,
  volumeRoot: string,
): EngineDevices {
  const devices: EngineDevices = {}
  for (const [name, device] of Object.entries(spec.devices ?? {})) {
    if (device.type !== 'volume') {
      devices[name] = device
      continue
    }
    const { volume: _volume, id = '', ...rest } = device
    devices[name] = { ...rest, source: `${volumeRoot}/${volumeDirectoryName({ id, copy: volumes[id]?.copy ?? 0 })}` }
  }
  return devices
}

/** As engineDevices has them with an empty root. */
export function withoutVolumeRoot(devices: EngineDevices): EngineDevices {
  return Object.fromEntries(
    Object.entries(devices).map(([name, device]) => [
      name,
      device.type === 'volume' ? { ...device, source: device.source.slice(device.source.lastIndexOf('/')) } : device,
    ]),
  )
}
