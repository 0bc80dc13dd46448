// Devices as a person writes and reads them: KEY=VALUE words to a device, and back to a line.

import type { Device } from '@drover/protocol'
import { DroverError, pinsOf } from '@drover/protocol/plain'
import { InvalidArgumentError } from 'commander'
import { parseBytes } from './output/sizes.ts'

export type DeviceWords = Record<string, string>

const flags = ['readonly', 'shared', 'required', 'recursive', 'isolated']
/** From and to. */
const numbers: Record<string, [number, number]> = {
  uid: [0, 65_535],
  gid: [0, 65_535],
  major: [0, 4095],
  minor: [0, 1_048_575],
  mtu: [68, 65_535],
  queue: [1, 1_000_000],
  bus: [1, 999],
  address: [1, 127],
}

export function parseDeviceName(text: string): string {
  if (/^[a-z0-9][a-z0-9-]{0,31}$/.test(text)) return text
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a name for a device: 1 to 32 of a-z, 0-9 and -.`)
}

/** Adds one KEY=VALUE to what was read before. */
export function parseDeviceWord(text: string, before: DeviceWords = {}): DeviceWords {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError(`${JSON.stringify(text)} is not KEY=VALUE, like type=char.`)
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) }
}

/** `--device data,type=bind,source=/srv,path=/srv`, repeatable. */
export function parseDeviceFlag(text: string, before: Record<string, Device> = {}): Record<string, Device> {
  const [name = '', ...words] = text.split(',')
  parseDeviceName(name)
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`the device ${name} is given twice.`)
  const read = words.reduce<DeviceWords>((all, word) => parseDeviceWord(word, all), {})
  try {
    return { ...before, [name]: deviceOf(name, read) }
  } catch (error) {
    throw new InvalidArgumentError(`${(error as Error).message}.`)
  }
}

export function deviceOf(name: string, words: DeviceWords): Device {
  const value = Object.fromEntries(
    Object.entries(words).map(([key, text]) => [key === 'size' ? 'sizeBytes' : key, meaning(name, key, text)]),
  )
  const fault = faultOf(words)
  if (fault !== null) throw new DroverError('BAD_REQUEST', `device ${name}: ${fault}; see drover device add --help`)
  // What the values may be, the controller says.
  return value as Device
}

export function describeDevice(device: Device): string {
  const { type: _type, ...rest } = device
  return Object.entries(rest)
    .filter(([key]) => key !== 'name' && key !== 'pins')
    .map(([key, value]) => {
      if (key === 'sizeBytes') return `size=${value}`
      return `${key}=${key === 'mode' ? `0${Number(value).toString(8)}` : value}`
    })
    .join(' ')
}

export const whyPinned = (name: string, device: Device): string | null => pinsOf({ [name]: device })[0]?.reason ?? null

function meaning(name: string, key: string, text: string): string | number | boolean {
  const refuse = (rule: string) =>
    new DroverError('BAD_REQUEST', `device ${name}: ${key}=${text.slice(0, 64)}: must be ${rule}`)
  if (flags.includes(key)) {
    if (text === 'true' || text === 'false') return text === 'true'
    throw refuse('true or false')
  }
  const range = Object.hasOwn(numbers, key) ? numbers[key] : undefined
  if (range !== undefined) {
    const [least, most] = range
    if (isCount(text, least, most)) return Number(text)
    throw refuse(`a number from ${least} to ${most}`)
  }
  if (key === 'size') return sizeOf(text, refuse)
  if (key === 'mode') {
    if (/^0?[0-7]{3}$/.test(text)) return Number.parseInt(text, 8)
    throw refuse('three octal digits, like 0660')
  }
  return text
}

function sizeOf(text: string, refuse: (rule: string) => DroverError): number {
  try {
    return parseBytes(text)
  } catch {
    throw refuse('a size, like 64MiB')
  }
}

const isCount = (text: string, least: number, most: number): boolean =>
  /^\d{1,7}$/.test(text) && Number(text) >= least && Number(text) <= most

/** Which keys each type takes, the needed ones first. */
const keys: Record<string, { needs: string[]; may: string[] }> = {
  char: { needs: ['source'], may: ['path', 'readonly', 'required', 'mode', 'uid', 'gid'] },
  block: { needs: ['source'], may: ['path', 'readonly', 'required', 'mode', 'uid', 'gid'] },
  bind: { needs: ['source', 'path'], may: ['readonly', 'shared', 'recursive', 'required'] },
  volume: { needs: ['volume', 'path'], may: ['readonly'] },
  tmpfs: { needs: ['path', 'size'], may: ['mode', 'uid', 'gid'] },
  nic: {
    needs: ['bridge'],
    may: ['interface', 'mac', 'ipv4', 'ipv6', 'mtu', 'queue', 'isolated'],
  },
  gpu: { needs: ['vendor'], may: ['mode', 'uid', 'gid'] },
  usb: { needs: ['vendor'], may: ['product', 'serial', 'bus', 'address', 'mode', 'uid', 'gid'] },
  proxy: { needs: ['listen', 'connect'], may: ['mode', 'uid', 'gid'] },
}

/** A node by its number, whether the host has a file for it or not. */
const numbered = { needs: ['major', 'minor', 'path'], may: ['readonly', 'mode', 'uid', 'gid'] }

function keysOf({ type = '', major, minor }: DeviceWords) {
  if ((type === 'char' || type === 'block') && (major ?? minor) !== undefined) return numbered
  return Object.hasOwn(keys, type) ? keys[type] : undefined
}

function faultOf(words: DeviceWords): string | null {
  const known = keysOf(words)
  if (!known) return `type=${words.type ?? ''} must be one of ${Object.keys(keys).join(', ')}`
  const missing = known.needs.find((key) => words[key] === undefined)
  if (missing !== undefined) return `${missing}= is missing`
  const unknown = Object.keys(words).find((key) => key !== 'type' && ![...known.needs, ...known.may].includes(key))
  return unknown === undefined ? null : `${unknown}= means nothing for type=${words.type}`
}
