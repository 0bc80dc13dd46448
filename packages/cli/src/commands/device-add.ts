// `drover device add`: a device for a container, as it runs.

import type { Device } from '@drover/protocol'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import { type DeviceWords, deviceOf, parseDeviceName, parseDeviceWord } from '../device-words.ts'
import { followMany } from '../follow-many.ts'
import { parseName } from '../names.ts'
import { addWaitOptions, type WaitFlags } from '../wait-options.ts'

export function register(group: Command): void {
  const command = defineCommand(group, 'add', {
    summary: 'give a device to a container as it runs',
    description: `Adds a device, or replaces the one of that name. It is made again at each start. What the host hasn't got is refused, and
then nothing is changed. One device may be in several containers.

  type=char|block  source=/dev/…  [path=…] [mode=0660] [uid=…] [gid=…] [readonly=true] [required=false]
                   or by number: major=10 minor=229 path=/dev/fuse
  type=bind        source=/srv/… path=/… [readonly=true] [shared=true] [recursive=true] [required=false]
  type=volume      volume=NAME path=/… [readonly=true]     see drover volume
  type=tmpfs       path=/… size=64MiB [mode=0755] [uid=…] [gid=…]     memory, of the container's limit
  type=nic         bridge=br0 [interface=eth1] [mac=…] [ipv4=10.0.0.5/24] [ipv6=…/64] [mtu=1400] [queue=…]
                   [isolated=true]
  type=gpu         vendor=nvidia|amd|intel|any [mode=…] [uid=…] [gid=…]
  type=usb         vendor=0403 [product=6001] [serial=…] [bus=…] [address=…]   plugged in when it is
  type=proxy       listen=tcp:0.0.0.0:8080 connect=tcp:127.0.0.1:80   tcp:, udp: or unix:/PATH

Owners of a directory are the container's own users: uid 0 of the host is its root. shared=true says that every host has the
directory, so that the container may move; what else pins it, drover device ls shows.
required=false leaves out what the host hasn't got. recursive=true brings what is mounted below the directory at that time. An
isolated link reaches no other isolated one of its bridge.

A proxy listens at an address of the host, and connects within the container, whose 127.0.0.1 is its own. IPv6 is written in
brackets: tcp:[::]:80. Of a listening path, mode= and owner are the host's. What is connected sees the container's own loopback as
its peer. A live move cuts open connections of a proxy; then the new host listens.`,
    examples: [
      ['drover device add web kvm type=char source=/dev/kvm', 'a device of the host'],
      ['drover device add web data type=bind source=/srv/data path=/data readonly=true', 'a directory, to read'],
      ['drover device add web lan type=nic bridge=br1 ipv4=192.168.1.5/24', 'a second link'],
      [
        'drover device add web http type=proxy listen=tcp:0.0.0.0:8080 connect=tcp:127.0.0.1:80',
        'port 8080 of its host, whichever that is',
      ],
    ],
  })
    .argument('<container>', 'name of the container', parseName)
    .argument('<device>', 'name for the device', parseDeviceName)
    .argument('<key=value...>', 'what it is', parseDeviceWord)
  addWaitOptions(command).action(
    action(async (session, name: string, device: string, words: DeviceWords, flags: WaitFlags) => {
      const value: Device = deviceOf(device, words)
      const client = await session.client()
      return followMany(session, [name], flags, {
        doing: 'changing',
        done: 'changed',
        begin: (each) => client.set(each, { devices: { [device]: value } }),
      })
    }),
  )
}
