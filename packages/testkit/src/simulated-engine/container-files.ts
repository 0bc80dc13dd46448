// The files that a simulated container sees: its writable layer over its image, both real directories, and a few files of
// /proc made up from its record. Nothing outside those directories can be reached by a path or a symbolic link.

import { appendFileSync, lstatSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { basename, dirname, join, normalize, sep } from 'node:path'
import type { SimulatedContainers } from './containers.ts'

/** Clock ticks per second in /proc/PID/stat. */
const ticksPerSecond = 100

export class ContainerFiles {
  readonly #containers: SimulatedContainers
  readonly #container: string

  constructor(containers: SimulatedContainers, container: string) {
    this.#containers = containers
    this.#container = container
  }

  /** null: no such file. */
  read(path: string): Buffer | null {
    const made = this.#proc(normalize(path))
    if (made !== null) return Buffer.from(made)
    for (const layer of this.#layers()) {
      const real = below(layer, path)
      if (real === null) continue
      try {
        return readFileSync(real)
      } catch {
        return null
      }
    }
    return null
  }

  write(path: string, content: Buffer | string, options: { append: boolean }): void {
    const upper = this.#containers.upper(this.#container)
    const target = join(upper, normalize(join('/', path)))
    mkdirSync(dirname(target), { recursive: true })
    const folder = below(upper, dirname(join('/', path)))
    if (folder === null) throw new Error(`${path}: leads out of the container`)
    if (options.append) appendFileSync(target, content, { flag: 'a' })
    else writeFileSync(target, content)
  }

  /** Where it is on the host, in the uppermost layer that has it; null: in none. */
  real(path: string, follow: boolean): string | null {
    for (const layer of this.#layers()) {
      const folder = below(layer, dirname(join('/', path)))
      const found = follow ? below(layer, path) : folder && join(folder, basename(join('/', path)))
      if (found && lstatSync(found, { throwIfNoEntry: false })) return found
    }
    return null
  }

  /** Names in a folder over both layers; null: no such folder. */
  list(path: string): string[] | null {
    const names = new Set<string>()
    let found = false
    for (const layer of this.#layers()) {
      const real = below(layer, path)
      if (real === null) continue
      try {
        for (const name of readdirSync(real)) names.add(name)
        found = true
      } catch {
        // A file, or gone meanwhile.
      }
    }
    return found ? [...names].sort() : null
  }

  #layers(): string[] {
    return [this.#containers.upper(this.#container), this.#containers.spec(this.#container).rootfs]
  }

  #proc(path: string): string | null {
    const { startedAtMs } = this.#containers.get(this.#container)
    const bootMs = Date.now() - uptime() * 1000
    switch (path) {
      case '/proc/uptime':
        return `${uptime().toFixed(2)} 0.00\n`
      case '/proc/1/stat': {
        const started = Math.max(0, Math.round((((startedAtMs ?? bootMs) - bootMs) / 1000) * ticksPerSecond))
        return `1 (init) S 0 1 1 0 -1 4194560 ${'0 '.repeat(12)}${started} 1048576 256\n`
      }
      case '/proc/1/comm':
        return 'init\n'
      case '/etc/hostname':
        return `${this.#containers.spec(this.#container).name}\n`
      default:
        return null
    }
  }
}

/** The real path of `path` below `base`; null when it is missing or leads out. */
function below(base: string, path: string): string | null {
  try {
    const root = realpathSync(base)
    const real = realpathSync(join(root, normalize(join('/', path))))
    return real === root || real.startsWith(root + sep) ? real : null
  } catch {
    return null
  }
}
