// What this host can do, from its engine's greeting; before the engine has answered, nothing is claimed.

import { readFileSync } from 'node:fs'
import { arch, availableParallelism, release } from 'node:os'
import type { EngineHello } from '@drover/engine'
import { type HostFeatures, protocolVersion } from '@drover/protocol'
import { hostLimits } from './host-limits.ts'

export function hostFeatures(hello: EngineHello | null): HostFeatures {
  if (!hello) {
    return {
      engine: 'native',
      kernel: release(),
      architecture: arch(),
      cgroup: 'none',
      criu: { usable: false, path: null, version: null, reason: 'the engine has not answered yet' },
    }
  }
  const { kernel, architecture, cgroup, criu, version, diskLimits = false } = hello
  const native = !version.includes('simulated')
  // The simulated engine names itself in its version: there is nothing else to tell the two apart by.
  limits ??= hostLimits()
  const compared = { cpuFlags: cpuFlags(), cores, protocolVersion, ...(native ? { limits } : {}) }
  return {
    engine: native ? 'native' : 'simulated',
    kernel,
    architecture,
    cgroup,
    criu,
    diskLimits,
    ...compared,
  }
}

/** Instruction sets, whose lack on another host would kill a program that found them here. The first processor speaks for all. */
const instructionSets =
  /^(sse|ssse|avx|amx|aes$|pclmul|vpclmul|vaes|gfni|sha|bmi|abm$|adx$|fma|f16c$|popcnt$|movbe$|movdir|rdrand$|rdseed$|rdpid$|xsave|fsgsbase$|rtm$|hle$|erms$|clflushopt$|clwb$|serialize$|cx16$|lahf_lm$|asimd|sve|sme|crc32$|atomics$)/
export const cores = availableParallelism()
let flags: string[] | null = null
let limits: HostFeatures['limits'] | null = null

function cpuFlags(): string[] {
  flags ??= flagsIn(readCpuInfo())
  return flags
}

export function flagsIn(cpuInfo: string): string[] {
  const line = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuInfo)?.[1] ?? ''
  return line
    .split(' ')
    .filter((flag) => instructionSets.test(flag))
    .sort()
}

function readCpuInfo(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8')
  } catch {
    return ''
  }
}
