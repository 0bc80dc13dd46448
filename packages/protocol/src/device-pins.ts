// Pure: which devices pin a container to its host, and why, and which addresses of it they take. For moves, plans and people; no schema is built for it.

import type { Device, Devices } from './devices.ts'

/** Nodes without any state, which every Linux has under these numbers. */
const stateless = ['/dev/null', '/dev/zero', '/dev/full', '/dev/random', '/dev/urandom']

export interface Pin {
  device: string
  /** For a person: why the container can't leave its host with it. */
  reason: string
}

/** The devices that pin a container to its host; none: they don't hinder a move. */
export function pinsOf(devices: Devices = {}): Pin[] {
  return Object.entries(devices).flatMap(([device, each]) => {
    const reason = pinReason(each)
    return reason === null ? [] : [{ device, reason }]
  })
}

function pinReason(device: Device): string | null {
  switch (device.type) {
    case 'char':
    case 'block':
      if ('major' in device) return `${device.type} ${device.major}:${device.minor} is this host's`
      return stateless.includes(device.source) ? null : `${device.source} is this host's`
    case 'bind':
      if (device.recursive === true) return `what is mounted below ${device.source} is this host's`
      return device.shared === true ? null : `${device.source} is a path of this host and not said to be shared`
    case 'nic':
      return device.ipv4 === undefined && device.ipv6 === undefined
        ? 'its link has no address of its own that could be set up elsewhere'
        : null
    case 'tmpfs':
    case 'volume':
      return null
    case 'gpu':
      return `a GPU of this host (${device.vendor})`
    case 'usb':
      return `a USB device that is plugged into this host (${device.vendor}:${device.product ?? 'any'})`
    case 'proxy':
      return listensAnywhere(device.listen) ? null : `${device.listen} is an address of this host`
  }
}

/** The addresses of its host that it listens at. */
export const listensOf = (devices: Devices = {}): string[] =>
  Object.values(devices).flatMap((device) => (device.type === 'proxy' ? [device.listen] : []))

/** At any address of whichever host, at its loopback, or at a path. */
const listensAnywhere = (listen: string): boolean => /^unix:|^(tcp|udp):(0\.0\.0\.0|127\.[\d.]+|\[::1?\]):/.test(listen)

/** `b (/dev/sda is this host's), c (…)` */
export const describePins = (pins: readonly Pin[]): string =>
  pins.map(({ device, reason }) => `${device} (${reason})`).join(', ')
