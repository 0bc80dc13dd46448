// GNU tar at one end of a stream. It carries what a writable layer is made of: numeric owners, device nodes (whiteouts), hard links, sparse
// files, ACLs and all extended attributes, trusted ones included (overlayfs keeps `opaque` and `redirect` there). Left out are the
// attributes by which overlayfs ties a layer to the file system that it lies on: on another host they would point nowhere.

import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { DroverError } from '@drover/protocol'
import { StandbyTar } from './standby-tar.ts'

const boundToHost = ['origin', 'uuid', 'nlink', 'impure'].map((name) => `--xattrs-exclude=trusted.overlay.${name}`)
const attributes = () =>
  process.getuid?.() === 0
    ? ['--xattrs', '--xattrs-include=*', ...boundToHost, '--acls', '--same-owner']
    : ['--no-same-owner']
const keptErrorCharacters = 600

/** What outlives no tar: a migration's session, or a snapshot under way. */
export interface TarScope {
  defer(undo: () => unknown): void
}

/**
 * The whole layer, while the container runs: files may change or vanish under it, the delta mends that. `excludeFrom`: a list of what is left
 * out, `./` before each. Not a list of what is in it: tar would follow a link in the middle of a name.
 */
export function startPrecopyArchive(scope: TarScope, upper: string, excludeFrom?: string): TarProcess {
  const options = ['--sparse', '--format=posix', '--pax-option=delete=atime,delete=ctime']
  const tolerant = [
    '--ignore-failed-read',
    '--warning=no-file-changed',
    '--warning=no-file-removed',
    '--warning=no-file-ignored',
  ]
  const but = excludeFrom === undefined ? [] : ['--anchored', '--no-wildcards', `--exclude-from=${excludeFrom}`]
  return TarProcess.start(
    scope,
    ['--create', '--directory', upper, ...base(), ...options, ...tolerant, ...but, '.'],
    [0, 1],
  )
}

/** Only the paths that are written to its standard input, each ended by a zero byte. It may be started long before they are known. */
export function startDeltaArchive(scope: TarScope, upper: string): TarProcess {
  return new TarProcess(scope, deltaArchives.take(upper), [0])
}

export function startExtraction(scope: TarScope, upper: string): TarProcess {
  return TarProcess.start(scope, [...extractionArgs(), '--directory', upper], [0])
}

/** As startExtraction, by the one that waits. */
export function startDeltaExtraction(scope: TarScope, upper: string): TarProcess {
  return new TarProcess(scope, deltaExtractions.take(upper), [0])
}

/** So that the two of the delta take no time when they are wanted. */
export function keepDeltaArchiveReady(): void {
  deltaArchives.keepReady()
}

export function keepDeltaExtractionReady(): void {
  deltaExtractions.keepReady()
}

function deltaArchiveArgs(): string[] {
  const options = ['--sparse', '--format=posix', '--pax-option=delete=atime,delete=ctime', '--warning=no-file-ignored']
  const names = ['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-']
  return ['--create', ...base(), ...options, ...names]
}

function extractionArgs(): string[] {
  return ['--extract', ...base(), '--same-permissions', '--delay-directory-restore']
}

function base(): string[] {
  return ['--numeric-owner', ...attributes()]
}

const deltaArchives = new StandbyTar(deltaArchiveArgs())
const deltaExtractions = new StandbyTar(extractionArgs())

export class TarProcess {
  readonly #child: ChildProcess
  readonly #closed: Promise<void>
  #errorTail = ''

  static start(scope: TarScope, args: string[], goodStatuses: number[]): TarProcess {
    const stdio: StdioOptions = ['pipe', args[0] === '--create' ? 'pipe' : 'ignore', 'pipe']
    return new TarProcess(scope, spawn('tar', args, { stdio, env: { ...process.env, LC_ALL: 'C' } }), goodStatuses)
  }

  constructor(scope: TarScope, child: ChildProcess, goodStatuses: number[]) {
    this.#child = child
    // What nobody listens to is thrown away by Node as soon as the process has ended, which with little to write is before it is read.
    this.#child.stdout?.on('readable', () => {})
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errorTail = (this.#errorTail + chunk.toString()).slice(-keptErrorCharacters)
    })
    // A tar that dies closes its end: the reason comes with `done`.
    this.#child.stdin?.on('error', () => {})
    this.#closed = new Promise((resolve, reject) => {
      this.#child.once('error', (cause) =>
        reject(new DroverError('TRANSFER_FAILED', `run tar: ${cause.message}`, { cause })),
      )
      this.#child.once('close', (code, signal) => {
        if (code !== null && goodStatuses.includes(code)) resolve()
        else
          reject(
            new DroverError(
              'TRANSFER_FAILED',
              `tar ended with ${signal ?? `status ${code}`}: ${this.#errorTail.trim()}`,
            ),
          )
      })
    })
    this.#closed.catch(() => {})
    scope.defer(() => this.kill())
  }

  /** What it writes, piece by piece, with backpressure. */
  async *output(): AsyncGenerator<Buffer> {
    if (!this.#child.stdout) return
    for await (const chunk of this.#child.stdout) yield chunk as Buffer
  }

  write(data: Uint8Array): Promise<void> {
    const stdin = this.#child.stdin
    if (!stdin || stdin.destroyed) return this.#closed
    if (stdin.write(data)) return Promise.resolve()
    return Promise.race([new Promise<void>((resolve) => stdin.once('drain', () => resolve())), this.#closed])
  }

  /** No more input. */
  endInput(): void {
    this.#child.stdin?.end()
  }

  /** No more input; resolves when it has ended well, rejects with what it said otherwise. */
  async done(): Promise<void> {
    this.endInput()
    await this.#closed
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }
}
