// How far the writable layer has come, as figures for the next report: bytes, pace and the time left. A look costs a comparison.

import type { StreamConnection } from '../streams/stream-connection.ts'
import type { MigrationSession } from './session.ts'

const everyMs = 200

export class DiskProgress {
  readonly #session: MigrationSession
  readonly #connection: StreamConnection
  readonly #totalBytes: number
  readonly #beganAtMs = performance.now()
  #toldAtMs = 0

  constructor(session: MigrationSession, connection: StreamConnection, totalBytes: number) {
    this.#session = session
    this.#connection = connection
    this.#totalBytes = totalBytes
  }

  sent(): void {
    const now = performance.now()
    if (now - this.#toldAtMs < everyMs) return
    this.#toldAtMs = now
    const { bytesSent } = this.#connection
    const bytesPerMs = bytesSent / Math.max(1, now - this.#beganAtMs)
    Object.assign(this.#session.figures, {
      sent_bytes: bytesSent,
      bytes_per_s: Math.round(1000 * bytesPerMs),
      eta_ms: Math.round(Math.max(0, this.#totalBytes - bytesSent) / Math.max(1, bytesPerMs)),
    })
  }
}
