// `drover doctor`: what this machine has of what drover needs, each with what to do about it. Looks, and changes nothing.
// fail: real containers or the cluster can't run; warn: they can, but something is slower, scarcer or refused.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, statfsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { criuChoice, findNatsServer, programs } from './installation.ts'
import { isRoot } from './node-settings.ts'

export interface Finding {
  name: string
  status: 'ok' | 'warn' | 'fail'
  /** What was found. */
  value: string
  /** What to do; null when all is well. */
  advice: string | null
}

/** Minimum that drover is built and tested for. */
const nodeMajor = 20

export function examine(data = '/var/lib/drover'): Finding[] {
  const at = nearestThere(resolve(data))
  return [
    nodeVersion(),
    root(),
    kernel(),
    ...namespaces(),
    cgroups(),
    filesystem('overlay', 'writable layers over read-only images'),
    seccomp(),
    engineBuilt(),
    natsServer(),
    raftAddon(),
    criu(),
    tool('ip', 'iproute2', 'bridges and links'),
    tool('tar', 'tar', 'disk copies between hosts'),
    tool('busybox', 'busybox-static', 'the default image'),
    ownView(),
    ...limits(),
    quickCriu(),
    dataSpace(at),
    diskLimits(at),
  ]
}

const ok = (name: string, value: string): Finding => ({ name, status: 'ok', value, advice: null })
const warn = (name: string, value: string, advice: string): Finding => ({ name, status: 'warn', value, advice })
const fail = (name: string, value: string, advice: string): Finding => ({ name, status: 'fail', value, advice })

function nodeVersion(): Finding {
  const major = Number(process.versions.node.split('.')[0])
  if (major >= nodeMajor) return ok('node', process.version)
  return fail('node', process.version, `install Node.js ${nodeMajor} or newer`)
}

function root(): Finding {
  if (isRoot()) return ok('root', 'yes')
  return fail('root', `uid ${process.getuid?.()}`, 'run as root; without it only `drover up --engine simulated` works')
}

function kernel(): Finding {
  const release = read('/proc/sys/kernel/osrelease') ?? 'unknown'
  const [major = 0, minor = 0] = release.split('.').map(Number)
  // Overlay on idmapped lower layers came with 5.19; pidfd exit information and the rest are older.
  if (major > 5 || (major === 5 && minor >= 19)) return ok('kernel', release)
  return fail('kernel', release, 'overlayfs on idmapped layers needs Linux 5.19 or newer')
}

function namespaces(): Finding[] {
  const missing = ['user', 'pid', 'mnt', 'uts', 'ipc', 'net', 'cgroup'].filter(
    (kind) => !existsSync(`/proc/self/ns/${kind}`),
  )
  const found =
    missing.length === 0
      ? ok('namespaces', 'user pid mnt uts ipc net cgroup')
      : fail('namespaces', `missing: ${missing.join(' ')}`, 'use a kernel that is built with them')
  const allowed = read('/proc/sys/user/max_user_namespaces')
  if (allowed === null || Number(allowed) > 0) return [found]
  return [found, fail('user namespaces', '0 allowed', 'sysctl user.max_user_namespaces=10000')]
}

function cgroups(): Finding {
  const mounts = (read('/proc/self/mounts') ?? '').split('\n').map((line) => line.split(' '))
  const unified = mounts.some(([, path, type]) => type === 'cgroup2' && path === '/sys/fs/cgroup')
  if (unified) {
    const have = (read('/sys/fs/cgroup/cgroup.controllers') ?? '').split(' ')
    const missing = ['cpu', 'memory', 'pids'].filter((name) => !have.includes(name))
    if (missing.length === 0) return ok('cgroups', 'version 2')
    return fail(
      'cgroups',
      `version 2 without ${missing.join(' ')}`,
      'enable these controllers in the kernel command line',
    )
  }
  const options = mounts.filter(([, , type]) => type === 'cgroup').flatMap((mount) => (mount[3] ?? '').split(','))
  const missing = ['cpu', 'memory', 'pids', 'freezer'].filter((name) => !options.includes(name))
  if (missing.length === 0) return ok('cgroups', 'version 1 and 2 (hybrid)')
  return fail('cgroups', `no ${missing.join(' ')}`, 'mount the cgroup hierarchies: pure version 2 is best')
}

function filesystem(name: string, use: string): Finding {
  const known = (read('/proc/filesystems') ?? '').split('\n').some((line) => line.trim().split('\t').at(-1) === name)
  return known ? ok(name, use) : fail(name, 'not known to the kernel', `modprobe ${name}: needed for ${use}`)
}

function seccomp(): Finding {
  const has = (read('/proc/self/status') ?? '').includes('\nSeccomp:')
  return has ? ok('seccomp', 'yes') : fail('seccomp', 'no', 'use a kernel with CONFIG_SECCOMP_FILTER')
}

function engineBuilt(): Finding {
  if (existsSync(programs.nativeEngine)) return ok('engine', programs.nativeEngine)
  return fail('engine', `${programs.nativeEngine} is missing`, 'run deploy/bootstrap: it builds it')
}

function natsServer(): Finding {
  const program = findNatsServer()
  if (program === null) return fail('nats-server', 'not found', 'apt-get install nats-server')
  return ok('nats-server', `${program} ${version(program, ['--version'])}`)
}

function raftAddon(): Finding {
  if (existsSync(programs.raftAddon)) return ok('raft addon', programs.raftAddon)
  return warn(
    'raft addon',
    'not built',
    'run deploy/bootstrap; without it a cluster has one controller, on the embedded log',
  )
}

function criu(): Finding {
  const choice = criuChoice()
  if (choice.usable) return ok('criu', `${choice.path} ${choice.version}: ${choice.reason}`)
  return warn('criu', choice.reason, 'live moves are refused and the rest works; deploy/criu --again tries again')
}

function tool(name: string, packageName: string, use: string): Finding {
  const directories = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin', '/bin']
  const found = directories.map((directory) => `${directory}/${name}`).find((path) => existsSync(path))
  return found === undefined
    ? fail(name, 'not found', `apt-get install ${packageName}: needed for ${use}`)
    : ok(name, found)
}

/** Machine-wide limits that bite when a host is dense: what a thousand idle containers want of each. */
const wanted = [
  {
    path: 'fs/inotify/max_user_instances',
    least: 8_192,
    // The instances of a user namespace count against whoever made it as well, which is root for every container.
    why: 'the kernel counts those of all containers together, and one with systemd has several',
  },
  { path: 'fs/inotify/max_user_watches', least: 65_536, why: 'watches of all containers, counted together' },
  { path: 'kernel/keys/maxkeys', least: 200, why: 'a keyring per session' },
  { path: 'kernel/pty/max', least: 1_024, why: 'a terminal per shell' },
  { path: 'net/ipv4/neigh/default/gc_thresh3', least: 1_024, why: 'a neighbour entry per container on the network' },
  { path: 'kernel/pid_max', least: 32_768, why: 'processes of all containers' },
  { path: 'kernel/threads-max', least: 32_768, why: 'threads of all containers' },
  { path: 'fs/file-max', least: 65_536, why: 'open files of all containers' },
] as const

function limits(): Finding[] {
  return wanted.flatMap(({ path, least, why }) => {
    const text = read(`/proc/sys/${path}`)
    if (text === null) return []
    const name = path.replaceAll('/', '.')
    if (Number(text) >= least) return [ok(name, text)]
    return [warn(name, `${text}, below ${least}`, `sysctl ${name}=${least}: ${why}`)]
  })
}

/** Without it all works, but `free` and `top` in a container show the host. */
function ownView(): Finding {
  const program = '/usr/bin/lxcfs'
  if (existsSync(program) && existsSync('/dev/fuse'))
    return ok('lxcfs', version(program, ['--version']).replaceAll('"', ''))
  return warn(
    'lxcfs',
    'not found',
    'apt-get install lxcfs: without it containers see the memory and processors of their host',
  )
}

/** Without it all works, but dumps walk the machine's connection tracking table twice: 22 ms of blackout at its usual size. */
function quickCriu(): Finding {
  const library = join(dirname(programs.nativeEngine), 'libdrover-criu.so')
  if (existsSync(library)) return ok('quick criu', library)
  return warn('quick criu', 'not built', 'run deploy/bootstrap; without it each move stands still some 20 ms longer')
}

/** Itself, or the first directory above it that is there: what will be made in it is on that file system. */
function nearestThere(path: string): string {
  return existsSync(path) || path === '/' ? path : nearestThere(dirname(path))
}

function dataSpace(at: string): Finding {
  const { bavail, bsize } = statfsSync(at)
  const gibibytes = (bavail * bsize) / 2 ** 30
  const value = `${gibibytes.toFixed(1)} GiB free at ${at}`
  return gibibytes >= 2 ? ok('disk', value) : warn('disk', value, 'images and writable layers need room')
}

/** Without it all works, but `--disk` is only what a container is placed by. The nearest mount point says it for the data directory. */
function diskLimits(at: string): Finding {
  const mounts = (read('/proc/self/mountinfo') ?? '').split('\n').map((line) => line.split(' '))
  const holding = mounts
    .filter(([, , , , point = '/']) => `${at}/`.startsWith(point.endsWith('/') ? point : `${point}/`))
    .sort(([, , , , left = ''], [, , , , right = '']) => left.length - right.length)
    .at(-1)
  const options = holding?.at(-1)?.split(',') ?? []
  if (options.includes('prjquota')) return ok('disk limits', `project quotas at ${at}`)
  return warn(
    'disk limits',
    `no project quotas at ${at}`,
    'mount ext4 or XFS with prjquota there; without it nothing holds a container to its disk (docs/lifecycle.md)',
  )
}

function version(program: string, args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 5_000 })
  // lxcfs says it on stderr.
  return status === 0 ? ((stdout.trim() || stderr.trim()).split('\n')[0] ?? '') : '(does not run)'
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}
