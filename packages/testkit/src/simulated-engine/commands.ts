// The programs of a simulated container: a table of name → function. They touch the container's files and memory and
// nothing of the host's. Each resolves with its exit code; when `aborted` fires they return at once.

import { setTimeout as delay } from 'node:timers/promises'
import type { ContainerFiles } from './container-files.ts'
import type { SimulatedContainers } from './containers.ts'
import { pulseTickMs } from './pulse.ts'
import { parseScript } from './script.ts'

export interface Program {
  containers: SimulatedContainers
  container: string
  files: ContainerFiles
  environment: Record<string, string>
  user: { uid: number; gid: number }
  terminal: () => { columns: number; rows: number } | null
  stdin: AsyncIterable<Buffer>
  stdout: (output: Buffer | string) => Promise<void>
  stderr: (output: Buffer | string) => Promise<void>
  aborted: AbortSignal
}

type Command = (args: string[], program: Program) => Promise<number>

const commandNotFound = 127

export async function runCommand(words: readonly string[], program: Program): Promise<number> {
  const [path = '', ...args] = words
  const name = path.startsWith('/') ? path.slice(path.lastIndexOf('/') + 1) : path
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (!command) {
    await program.stderr(`sh: ${path}: not found\n`)
    return commandNotFound
  }
  return command(args, program)
}

const commands: { [name: string]: Command } = {
  true: async () => 0,
  false: async () => 1,
  echo: async (args, program) => {
    const newline = args[0] !== '-n'
    await program.stdout(`${(newline ? args : args.slice(1)).join(' ')}${newline ? '\n' : ''}`)
    return 0
  },
  cat,
  ls: async (args, program) => {
    const path = args.find((arg) => !arg.startsWith('-')) ?? '/'
    const names = program.files.list(path)
    if (names === null) return complain(program, `ls: ${path}: No such file or directory`)
    await program.stdout(names.map((name) => `${name}\n`).join(''))
    return 0
  },
  hostname: async (_args, program) => {
    await program.stdout(`${program.containers.spec(program.container).name}\n`)
    return 0
  },
  id: async (args, program) => {
    const { uid, gid } = program.user
    await program.stdout(args[0] === '-u' ? `${uid}\n` : args[0] === '-g' ? `${gid}\n` : `uid=${uid} gid=${gid}\n`)
    return 0
  },
  env: async (_args, program) => {
    const lines = Object.entries(program.environment).map(([name, value]) => `${name}=${value}\n`)
    await program.stdout(lines.join(''))
    return 0
  },
  pwd: async (_args, program) => {
    await program.stdout(`${program.environment.PWD ?? '/'}\n`)
    return 0
  },
  ps: async (_args, program) => {
    const names = ['init', 'syslogd', 'crond', 'httpd', 'pulse']
    const init = program.containers.spec(program.container).init.join(' ')
    const lines = names.map((name, index) => `${String(index + 1).padStart(5)} root     ${index === 0 ? init : name}\n`)
    await program.stdout(`  PID USER     COMMAND\n${lines.join('')}`)
    return 0
  },
  stty: async (_args, program) => {
    const size = program.terminal()
    if (!size) return complain(program, 'stty: standard input: Not a tty')
    await program.stdout(`${size.rows} ${size.columns}\n`)
    return 0
  },
  tty: async (_args, program) => {
    const size = program.terminal()
    await program.stdout(size ? '/dev/pts/0\n' : 'not a tty\n')
    return size ? 0 : 1
  },
  sleep: async (args, program) => {
    await pause(Number(args[0] ?? 0) * 1000, program.aborted)
    return 0
  },
  pulse,
  hog,
  sh: shell,
  bash: shell,
  ash: shell,
  poweroff: async (_args, program) => ends(program, 'poweroff'),
  halt: async (_args, program) => ends(program, 'poweroff'),
  reboot: async (_args, program) => ends(program, 'reboot'),
}

async function cat(args: string[], program: Program): Promise<number> {
  if (args.length === 0) {
    for await (const chunk of program.stdin) await program.stdout(chunk)
    return 0
  }
  let exitCode = 0
  for (const path of args) {
    const content = program.files.read(path)
    if (content === null) exitCode = await complain(program, `cat: can't open '${path}': No such file or directory`)
    else await program.stdout(content)
  }
  return exitCode
}

/** Lines `pid counter monotonic_ms`: one with --once, else one each tick until it is ended. */
async function pulse(args: string[], program: Program): Promise<number> {
  do {
    const monotonicMs = Math.round(performance.now())
    await program.stdout(`5 ${program.containers.pulse(program.container)} ${monotonicMs}\n`)
    if (args.includes('--once')) return 0
    await pause(pulseTickMs, program.aborted)
  } while (!program.aborted.aborted)
  return 0
}

/** `hog BYTES`: from now on so much memory is held, without it running on. */
async function hog(args: string[], program: Program): Promise<number> {
  const bytes = Number(args[0])
  if (!Number.isSafeInteger(bytes) || bytes < 0) return complain(program, 'hog: how many bytes?')
  const { memory } = program.containers.hold(program.container, bytes)
  return memory?.frozenAtLimit || memory?.oomKills === 0 ? 0 : 137
}

/** `sh -c SCRIPT`, or a script (on a terminal: a dialogue) from stdin. */
async function shell(args: string[], program: Program): Promise<number> {
  const inline = args.indexOf('-c')
  if (inline >= 0) return (await runScript(args[inline + 1] ?? '', program)).exitCode
  const prompt = async () => {
    if (program.terminal()) await program.stdout('# ')
  }
  let pending = ''
  let exitCode = 0
  await prompt()
  for await (const chunk of program.stdin) {
    if (program.terminal()) await program.stdout(chunk.toString().replace(/[\r\n]/g, '\r\n'))
    pending += chunk.toString().replaceAll('\r', '\n')
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      const line = pending.slice(0, end)
      pending = pending.slice(end + 1)
      const outcome = await runScript(line, program)
      exitCode = outcome.exitCode
      if (outcome.exited) return exitCode
      await prompt()
    }
  }
  return pending === '' ? exitCode : (await runScript(pending, program)).exitCode
}

async function runScript(text: string, program: Program): Promise<{ exitCode: number; exited: boolean }> {
  let exitCode = 0
  try {
    for (const { when, words, redirect } of parseScript(text, program.environment)) {
      if (program.aborted.aborted) break
      if (when === 'success' && exitCode !== 0) continue
      if (when === 'failure' && exitCode === 0) continue
      if (words[0] === 'exit')
        return { exitCode: words[1] === undefined ? exitCode : Number(words[1]) & 0xff, exited: true }
      const real = words[0] === 'exec' ? words.slice(1) : words
      exitCode = await runCommand(real, redirect ? redirected(program, redirect) : program)
      if (words[0] === 'exec') return { exitCode, exited: true }
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    return { exitCode: await complain(program, `sh: ${error.message}`, 2), exited: false }
  }
  return { exitCode, exited: false }
}

function redirected(program: Program, target: { path: string; append: boolean }): Program {
  if (target.path === '/dev/null') return { ...program, stdout: async () => {} }
  if (!target.append) program.files.write(target.path, '', { append: false })
  return {
    ...program,
    stdout: async (output) => program.files.write(target.path, output, { append: true }),
  }
}

async function ends(program: Program, reason: 'poweroff' | 'reboot'): Promise<number> {
  program.containers.end(program.container, reason)
  return 0
}

async function complain(program: Program, message: string, exitCode = 1): Promise<number> {
  await program.stderr(`${message}\n`)
  return exitCode
}

async function pause(ms: number, aborted: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: aborted }).catch(() => {})
}
