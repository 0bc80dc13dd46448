// The engine's socket protocol, version 1, as data. A connection carries frames (see @drover/protocol frames.ts) over a
// SOCK_STREAM unix socket. JSON frames hold requests `{id, method, params}`, answers `{id, result}` or `{id, error: {code,
// message, context}}`, and, after `subscribe`, events `{event, …}`. Requests on one connection may be answered out of order.
// `exec` takes its connection over: after its answer `{id, result: {pid}}` only stdin/stdout/stderr/resize/signal/exit
// frames follow. Every command names container and epoch and is idempotent: repeating it gives the same result; an epoch
// lower than the recorded one is refused with STALE_EPOCH. A value that is absent is null, never missing.

import type {
  Device,
  ExecUser,
  Identity,
  InsideMethod,
  InsideParams,
  InsideResult,
  MemoryPressure,
  Resources,
  Rlimits,
  Security,
  Sysctls,
} from '@drover/protocol'

/** A volume is a directory of the host; it is not taken away while something in the container uses it (BUSY). */
export type EngineDevice =
  | Exclude<Device, { type: 'volume' }>
  | { type: 'volume'; source: string; path: string; readonly?: boolean }
export type EngineDevices = Record<string, EngineDevice>

/** created: rootfs prepared, no process. checkpointed: frozen after a dump. restored: frozen after a restore. */
export type EngineState = 'created' | 'running' | 'frozen' | 'checkpointed' | 'restored' | 'stopped'

/** 0, '' or missing: no limit (swapBytes: −1 or missing). Bytes and operations per second; networkBits per second, each way but for those that say which. */
export interface EngineLimits extends Resources {
  cpuWeight?: number
  cpus?: string
  swapBytes?: number
  /** In bytes; −1 or missing: no limit. */
  hugePages64KiB?: number
  hugePages1MiB?: number
  hugePages2MiB?: number
  hugePages1GiB?: number
  ioWeight?: number
  ioReadBytes?: number
  ioWriteBytes?: number
  ioReadOperations?: number
  ioWriteOperations?: number
  networkBits?: number
  networkIngressBits?: number
  networkEgressBits?: number
  /** Of both ends of eth0. */
  networkMtu?: number
  networkQueue?: number
  /** Its port of the bridge reaches no other isolated one. */
  networkIsolated?: boolean
  /** At the limit of memory the kernel kills a process (missing too), or all of it is frozen until it gets more. */
  memoryPolicy?: 'kill' | 'freeze'
  /** It may be started elsewhere when this host is lost, so here it runs only under a lease. */
  leased?: boolean
}

/** All that the engine must know to run a container. It knows of no cluster. */
export interface EngineSpec {
  /** `c<serial>`, at most 32 of [a-z0-9-]. */
  container: string
  name: string
  epoch: number
  /** Read-only root file system of the image, owned by unshifted uids; the engine mounts it idmapped. */
  rootfs: string
  init: string[]
  environment: Record<string, string>
  /** cpuMilli → cpu.max; memoryBytes → memory limit; pids → pids.max; diskBytes → project quota. 0: no limit. */
  limits: EngineLimits
  identity: Identity
  /** Missing: none. */
  devices?: EngineDevices
  /** Missing: as usual. */
  security?: Security
  /** Variables of its own network, IPC and UTS namespaces, set before init runs. Missing: as the kernel has them. */
  sysctls?: Sysctls
  /** Of each of its processes. Missing: as the engine’s. */
  rlimits?: Rlimits
}

export interface EngineContainer {
  container: string
  name: string
  epoch: number
  state: EngineState
  /** PID of init in the engine's PID namespace; null unless it has processes. */
  initPid: number | null
  /** Wall clock of the start of init, ms; kept across a live move. */
  startedAtMs: number | null
  /** How often init was started (a reboot counts; a live move does not). */
  starts: number
  /** How the last init ended (host: with its host, which has booted since); null if none has, or nobody knows. */
  exit: { reason: 'poweroff' | 'reboot' | 'exit' | 'killed' | 'host'; status: number } | null
  /** Host path of the writable layer's upper directory. */
  upper: string
  /** What its cgroup accounts for; 0 without one. */
  memoryBytes: number
  cpuUsec: number
  processes: number
  /** Those in force; missing: an engine that can't change them. */
  limits?: EngineLimits
  /** Near the limit: not counting what the kernel can drop at once. Frozen at it: an `update` that gives more, or the policy `kill`, thaws. */
  memory?: MemoryPressure
  /** Frozen at its limit of memory: so much it was given beyond, to come to a stand. Missing: nothing. */
  memoryRoomBytes?: number
  /** Those it has or will have at its start; missing: an engine that knows none. */
  devices?: EngineDevices
  /** Missing: as usual. */
  security?: Security
  /** Missing: none. */
  sysctls?: Sysctls
  rlimits?: Rlimits
  /** It runs only under a lease, and the last one named it; missing: an engine that knows no leases. */
  leased?: boolean
  /** Frozen and off the network because the lease was over: the next lease that names it lets it go on. */
  fenced?: boolean
}

export interface EngineHello {
  version: string
  protocolVersion: number
  pid: number
  cgroup: 'v2' | 'hybrid'
  kernel: string
  architecture: string
  residentBytes: number
  criu: { usable: boolean; path: string | null; version: string | null; reason: string }
  /** The file system of the state directory has project quotas: `limits.diskBytes` holds. Missing: an engine that can't. */
  diskLimits?: boolean
  /** `pack` and `unpack` of hashTree. Missing: an engine of an earlier version. */
  packsLayers?: boolean
  /** `details` and `times` of hashTree. Missing: an engine of an earlier version. */
  patchesFiles?: boolean
  /** Devices of type volume, and `directory` of hashTree. Missing: an engine of an earlier version. */
  volumes?: boolean
}

/** Milliseconds of the phases of a checkpoint or restore. `frozenAtNs` and `resumedAtNs` are CLOCK_REALTIME. */
export type EngineFigures = Record<string, number>

/** Methods of @drover/protocol inside.ts; here the parameters name the container. They take no epoch. */
type EngineInsideMethods = {
  [M in InsideMethod]: { params: InsideParams<M> & { container: string }; result: InsideResult<M> }
}

export interface EngineMethods extends EngineInsideMethods {
  hello: { params: { protocolVersion: number }; result: EngineHello }
  /** Makes directories and the record; the state is then `created`. An existing one of the same epoch is kept. */
  create: { params: { spec: EngineSpec }; result: EngineContainer }
  start: { params: { container: string; epoch: number }; result: EngineContainer }
  /**
   * Asks init to power off, by the signal or, without one, in the way of its kind (SIGRTMIN+3 for systemd, SIGUSR2 for busybox, runlevel 0
   * for SysV, else SIGPWR or SIGTERM); kills after the deadline.
   */
  stop: { params: { container: string; epoch: number; timeoutMs: number; signal?: number }; result: EngineContainer }
  /** Signals init; SIGKILL (9) ends the container. */
  kill: { params: { container: string; epoch: number; signal: number }; result: EngineContainer }
  /**
   * Changes limits and, if given, devices, live if it runs. What the host refuses is an error, and then all stays as it was. `name`: as
   * well another name, which becomes its hostname and replaces the old one in /etc/hostname and /etc/hosts, where its users left that.
   * `security`: refused with WRONG_STATE while it has processes. `sysctls`, `rlimits`: all of them; what is set no longer keeps its value
   * until the next start.
   */
  update: {
    params: {
      container: string
      epoch: number
      limits: EngineLimits
      devices?: EngineDevices
      name?: string | null
      security?: Security
      sysctls?: Sysctls
      rlimits?: Rlimits
    }
    result: EngineContainer
  }
  freeze: { params: { container: string; epoch: number }; result: EngineContainer }
  /** Also thaws one that is `checkpointed` (the move was aborted): attaches its veth to the bridge again first. */
  thaw: { params: { container: string; epoch: number }; result: EngineContainer }
  /**
   * Exchanges the disk of one without processes (created or stopped) for the tree in `directory`, which lies directly in the container's own
   * directory (beside `upper`) and whose owners are in the range of `uidBase`: they become the container's. The old disk is removed.
   */
  replaceDisk: {
    params: { container: string; epoch: number; directory: string; uidBase: number }
    result: EngineContainer
  }
  /**
   * Kills what still runs and removes every trace: processes, cgroups, mounts, veth, directories. Unknown: no error. `keep`: where its writable
   * layer goes instead, on the same file system; what can't be kept is removed all the same.
   */
  delete: { params: { container: string; epoch: number; keep?: string }; result: null }
  /**
   * Until when (ms of CLOCK_BOOTTIME) those of `containers` (epoch by id) may run that have the limit `leased`. Without a lease that
   * names it such a container is not started, thawed or released; when the lease is over it is frozen and taken off the network.
   */
  lease: { params: { untilMs: number; containers: Record<string, number> }; result: null }
  list: { params: Record<string, never>; result: { containers: EngineContainer[] } }
  get: { params: { container: string }; result: EngineContainer }
  /** Resolves when init has ended, or with the present state at the deadline. */
  wait: { params: { container: string; timeoutMs: number }; result: EngineContainer }
  /**
   * A part of the console log (what init and its children without a tty wrote), read safely below the container's root.
   * dataBase64 holds at most `limit` (≤ 512 KiB) bytes from `offset`; a negative offset counts from the end.
   */
  logs: {
    params: { container: string; offset: number; limit: number }
    result: { dataBase64: string; offset: number; nextOffset: number; size: number }
  }
  exec: {
    params: {
      container: string
      command: string[]
      environment: Record<string, string>
      directory: string | null
      user: ExecUser | null
      terminal: { columns: number; rows: number } | null
    }
    result: { pid: number }
  }
  /**
   * Copies memory while the container runs: a part of a round (the first: all of it, each later one: what was written since) goes into a
   * file of `directory`, which is to be `parent` beside the directory of the checkpoint that follows; native/engine's memory_copy.h
   * says what is in it. `file` null: nothing is left that was written. `leftBytes`: of this round. `tracked` false: there is nothing
   * that is worth it, or the kernel can't. The other files there (no `part-`) belong to the parent images. `mostBytes` 0: given up.
   */
  copyMemory: {
    params: { container: string; epoch: number; directory: string; mostBytes: number }
    result: { file: string | null; bytes: number; round: number; leftBytes: number; tracked: boolean }
  }
  /**
   * One number for all that the writable layer holds. `changed` null: looks at everything anew; else again at these paths (relative to the
   * layer, a byte a character; the root is '.'), and at what is new or gone in the directories among them. Reads about `mostBytes` of
   * files whose content isn't known; `hash` null: `leftBytes` are left, ask again with []. `mostBytes` 0: given up.
   * `index`: with the hash comes a file there that says what each entry is (packages/agent/src/migration/tree-index.ts), unless they are too many.
   * `details`: with the hash comes such a file of those in `changed` alone, in this call and those before it without a hash. `times`: what is
   * set, first of all, as the time of modification of these files of a container without processes.
   * With `changed` null, before anything is looked at: `pack` writes the layer into that file; `packed` false: it is too much for that, and
   * there is none. `unpack` makes it again from such a file, in an empty layer of a container without processes (native/engine's small_layer.h);
   * `synced`: and its files are on the disk. An engine of an earlier version doesn't say that.
   */
  hashTree: {
    params: {
      container: string
      epoch: number
      changed: string[] | null
      mostBytes: number
      index?: string
      details?: string
      times?: { path: string; seconds: number; nanoseconds: number }[]
      pack?: string
      unpack?: string
      /** Of this directory, a volume of the container, instead of its layer. */
      directory?: string
    }
    result: {
      hash: string | null
      entries: number
      bytes: number
      leftBytes: number
      packed?: boolean
      synced?: boolean
    }
  }
  /**
   * Takes the veth off the bridge, freezes the container (cgroup freezer), dumps it with CRIU into `directory` (the engine makes
   * it, on tmpfs) and leaves it frozen: state `checkpointed`. On failure it is thawed and attached again: state `running`.
   */
  checkpoint: {
    params: { container: string; epoch: number; directory: string }
    result: { figures: EngineFigures; container: EngineContainer }
  }
  /**
   * Resolves when the images of the `checkpoint` that was asked for before are complete, some milliseconds before it is answered, or when it has
   * ended without. They are worth something only if it succeeds. `diskStands`: nothing changes in the writable layer any more.
   */
  checkpointImages: { params: { container: string }; result: { complete: boolean; diskStands: boolean } }
  /** All that a restore needs and that can be done before the images are there: record, mounts, cgroups, criu started. */
  prepareRestore: {
    params: {
      spec: EngineSpec
      startedAtMs: number | null
      starts: number
      /** `release` leaves it frozen: it stood still before the dump, and has not run since. */
      frozen?: boolean
      /** Of one that was frozen at its limit of memory: what it holds beyond that. */
      memoryRoomBytes?: number
      /** Where the images will be, if that folder is there already: CRIU then waits for them, made ready. */
      directory?: string
    }
    result: EngineContainer
  }
  /**
   * At the destination, before the restore: part `part` (1, 2, …) of the memory that the source sent ahead, `bytes` of pages, has been laid into the
   * parent images `parent` of `directory`. The engine takes it into the memory that the restored processes will have. Before a part is laid its
   * beginning, count and runs, is to be there as `laid-<part>`: with fewer parts taken than lists, all is read from the images.
   * `staged` false: so it will be, and further parts need not be told.
   */
  stageMemory: {
    params: { container: string; epoch: number; directory: string; part: number; bytes: number }
    result: { staged: boolean }
  }
  /** Restores from `directory` into the prepared container and leaves it frozen: state `restored`. Failure removes processes. */
  restore: {
    params: { container: string; epoch: number; directory: string }
    result: { figures: EngineFigures; container: EngineContainer }
  }
  /** After the commit: attaches the veth, thaws, announces the address (gratuitous ARP); state `running`. */
  release: {
    params: { container: string; epoch: number }
    result: { figures: EngineFigures; container: EngineContainer }
  }
  /** After the answer, EngineEvents follow on this connection. */
  subscribe: { params: Record<string, never>; result: null }
}

export type EngineMethod = keyof EngineMethods

/** Sent to subscribers whenever a container's state, init or record changed; what a `checkpoint`, `restore` or `release` changes, after its answer. */
export interface EngineEvent {
  event: 'container'
  container: EngineContainer
}
