// Makes the places that the daemons of a laboratory run in. With the native engine: network, mount and cgroup namespaces on
// one bridge, which needs root. With the simulated one: addresses on the loopback interface, which needs nothing.

import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCgroups, makeMemberCgroups } from './cgroups.ts'
import type { HostPlace } from './layout.ts'
import { holdMember, type Member, type MemberKind, namespacesOf, prefixFor } from './member.ts'
import { hostAddress, linkHosts } from './network.ts'
import { type LabState, writeState } from './state-file.ts'

export interface Places {
  hosts: HostPlace[]
  /** Prefix that runs a program in the client's namespace; empty without namespaces. */
  clientPrefix: string[]
}

/** A unix socket's path may have 107 bytes. */
const maxSocketPath = 107

export async function makeNamespaces(
  state: LabState,
  names: string[],
  controllers: number,
  directory: string,
): Promise<Places> {
  state.cgroups = makeCgroups(`drover-lab-${state.id}`)
  state.links = [state.id]
  writeState(state)

  const members = await Promise.all([
    member(state, 'fabric-', 'network'),
    member(state, 'client-', 'network'),
    ...names.map((name) => member(state, name, 'full')),
  ])
  const [fabric, client, ...hosts] = members as [Member, Member, ...Member[]]
  state.namespaces = members.flatMap(namespacesOf)
  writeState(state)
  await linkHosts({
    id: state.id,
    network: state.network,
    fabricPid: fabric.holder.pid,
    clientPid: client.holder.pid,
    hosts: hosts.map(({ name, holder }, index) => ({ name, pid: holder.pid, index })),
  })
  const engineSocket = '/run/drover/engine.sock'
  return {
    clientPrefix: prefixFor(client),
    hosts: hosts.map((host, index) => ({
      name: host.name,
      index,
      address: hostAddress(state.network, index),
      directory: makeDirectory(directory, host.name),
      prefix: prefixFor(host),
      engineSocket,
      engineSocketFromHere: `/proc/${host.holder.pid}/root${engineSocket}`,
      hasController: index < controllers,
    })),
  }
}

export function makeLoopback(state: LabState, names: string[], controllers: number, directory: string): Places {
  const sockets = join(tmpdir(), state.id)
  mkdirSync(sockets, { mode: 0o700 })
  state.directories.push(sockets)
  writeState(state)
  return {
    clientPrefix: [],
    hosts: names.map((name, index) => {
      const own = makeDirectory(directory, name)
      const preferred = join(own, 'engine.sock')
      const socket = preferred.length <= maxSocketPath ? preferred : join(sockets, `${name}.sock`)
      return {
        name,
        index,
        address: hostAddress(state.network, index),
        directory: own,
        prefix: [],
        engineSocket: socket,
        engineSocketFromHere: socket,
        hasController: index < controllers,
      }
    }),
  }
}

async function member(state: LabState, name: string, kind: MemberKind): Promise<Member> {
  const cgroups = makeMemberCgroups(state.cgroups, name)
  const made = await holdMember(state.id, name, kind, cgroups)
  state.holders[name] = made.holder
  writeState(state)
  return made
}

function makeDirectory(parent: string, name: string): string {
  const directory = join(parent, name)
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  return directory
}
