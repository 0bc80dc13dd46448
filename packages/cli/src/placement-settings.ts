// The rules of placement among what `drover set` understands: KEY=VALUE, one row per key; `none` takes a rule away.

import type { Scheduling, SchedulingChange } from '@drover/protocol'
import { InvalidArgumentError } from 'commander'
import { parseName } from './names.ts'

export interface PlacementRule {
  key: string
  meaning: string
  change: (text: string) => SchedulingChange
}

type Words = 'leave' | 'heal'

export const placementRules: readonly PlacementRule[] = [
  rule('pool', 'hosts of this pool', parseName),
  rule('project', 'counts against this project’s quota', parseName),
  rule('priority', 'higher is more important, -1000 to 1000', parsePriority),
  rule('architecture', 'only hosts of this architecture', (text) => text),
  rule('require', 'only hosts with these labels, disk=ssd,net=10g', parseLabels),
  { key: 'pin', meaning: 'only on these hosts, a,b', change: pinned },
  rule('cpuFeatures', 'only hosts whose processor has these, avx2,sha_ni', parseList, 'cpu-features'),
  rule('kernelFeatures', 'only hosts whose kernel has these, cgroup-v2', parseList, 'kernel-features'),
  rule('criuFeatures', 'only hosts whose CRIU has these: live, or criu-4.2.1', parseList, 'criu-features'),
  rule('claim', 'devices that it has for itself, of those that hosts are said to have, gpu=1', parseCounts),
  rule('tolerate', 'taints it may go to all the same, gpu,spot', parseList),
  rule('group', 'placement group: NAME, or NAME:pack|spread[:strict][:host|rack|zone]', parseGroup),
  words('leave', 'how it leaves a host that is emptied', ['live', 'frozen', 'cold', 'stop', 'stay']),
  words('heal', 'when its host is lost: wait for it, or fresh (begin again elsewhere, from its image)', [
    'wait',
    'fresh',
  ]),
  rule(
    'preemptible',
    'may be stopped to make room for a more important one: true or false; none: as its pool says',
    parseFlag,
  ),
]

function rule<K extends keyof Scheduling>(
  field: K,
  meaning: string,
  parse: (text: string) => Scheduling[K],
  key: string = field,
): PlacementRule {
  return { key, meaning, change: (text) => ({ [field]: text === 'none' ? null : parse(text) }) as SchedulingChange }
}

function words(key: Words, meaning: string, allowed: readonly string[]): PlacementRule {
  return rule(key, meaning, (text) => {
    if (allowed.includes(text)) return text as never
    throw new InvalidArgumentError(`${JSON.stringify(text)} is not one of ${allowed.join(', ')}.`)
  })
}

function pinned(text: string): SchedulingChange {
  return { hosts: text === 'none' ? null : parseList(text).map((each) => parseName(each)) }
}

function parseFlag(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true'
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not true, false or none.`)
}

function parseList(text: string): string[] {
  const parts = text.split(',')
  if (parts.every((part) => part !== '')) return parts
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a list: write a,b.`)
}

function parseLabels(text: string): Record<string, string> {
  const pairs = parseList(text).map((part) => part.split('='))
  if (pairs.every((pair) => pair.length === 2 && pair[0] !== '')) return Object.fromEntries(pairs)
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not KEY=VALUE,KEY=VALUE.`)
}

function parseCounts(text: string): Record<string, number> {
  const pairs = parseList(text).map((part) => /^([^=]+)=(\d{1,6})$/.exec(part))
  if (pairs.every((pair) => pair !== null)) return Object.fromEntries(pairs.map((pair) => [pair[1], Number(pair[2])]))
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not KIND=NUMBER,KIND=NUMBER.`)
}

function parsePriority(text: string): number {
  const value = Number(text)
  if (/^-?\d+$/.test(text) && Math.abs(value) <= 1000) return value
  throw new InvalidArgumentError(`${JSON.stringify(text)} is not a whole number from -1000 to 1000.`)
}

function parseGroup(text: string): NonNullable<Scheduling['group']> {
  const [name = '', ...words] = text.split(':')
  const group: NonNullable<Scheduling['group']> = {
    name: parseName(name),
    kind: 'spread',
    strict: false,
    topology: 'host',
  }
  for (const word of words) {
    if (word === 'pack' || word === 'spread') group.kind = word
    else if (word === 'strict') group.strict = true
    else if (word === 'host' || word === 'rack' || word === 'zone') group.topology = word
    else throw new InvalidArgumentError(`${JSON.stringify(word)} is none of pack, spread, strict, host, rack, zone.`)
  }
  return group
}
