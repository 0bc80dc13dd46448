// What `drover launch` takes for the first boot: files, read here so that a wrong one is refused before anything is launched.

import { readFileSync } from 'node:fs'
import type { FirstBoot } from '@drover/protocol'
import { firstBootProblem } from '@drover/protocol/plain'
import { type Command, InvalidArgumentError } from 'commander'

export interface FirstBootFlags {
  userData?: string
  vendorData?: string
  sshKey?: string[]
}

export function addFirstBootOptions(command: Command): Command {
  return command
    .option(
      '--user-data <file>',
      'a #cloud-config or script for its first boot, with or without cloud-init; not for secrets',
      parseData('userData'),
    )
    .option('--vendor-data <file>', 'the same, of lower rank', parseData('vendorData'))
    .option('--ssh-key <file>', 'public keys that may log in, e.g. ~/.ssh/id_ed25519.pub; repeatable', parseKeys)
}

export function firstBootOf({ userData, vendorData, sshKey }: FirstBootFlags): FirstBoot | undefined {
  if (userData === undefined && vendorData === undefined && sshKey === undefined) return undefined
  return {
    ...(userData === undefined ? {} : { userData }),
    ...(vendorData === undefined ? {} : { vendorData }),
    ...(sshKey === undefined ? {} : { sshKeys: sshKey }),
  }
}

const parseData = (kind: 'userData' | 'vendorData') => (path: string) => {
  const text = read(path)
  const problem = firstBootProblem({ [kind]: text })
  if (problem !== null) throw new InvalidArgumentError(`${path}: ${problem}.`)
  return text
}

function parseKeys(path: string, before: string[] = []): string[] {
  const lines = read(path)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
  const wrong = lines.find((line) => !/^(ssh-|ecdsa-|sk-)\S+ \S+/.test(line))
  if (lines.length === 0) throw new InvalidArgumentError(`${path} has no public key.`)
  // Not shown: it may be a private one.
  if (wrong !== undefined)
    throw new InvalidArgumentError(`${path} is not a list of public keys like: ssh-ed25519 AAAA… name.`)
  return [...before, ...lines]
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InvalidArgumentError(`${path} can’t be read: ${(error as Error).message}.`)
  }
}
