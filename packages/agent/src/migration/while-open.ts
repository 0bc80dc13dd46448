// What a side of a move holds as long as its session is open. A closed session is remembered for a while, so that its end can be
// reported; what it held must not be: the list of a large disk's files is megabytes, and an evacuation closes hundreds of sessions
// within that while.

import type { MigrationSession } from './session.ts'

export class WhileOpen<Value> {
  readonly #values = new WeakMap<MigrationSession, Value>()

  set(session: MigrationSession, value: Value): void {
    this.#values.set(session, value)
    session.defer(() => this.#values.delete(session))
  }

  /** Null when it was never set, and once the session is closed. */
  get(session: MigrationSession): Value | null {
    return this.#values.get(session) ?? null
  }

  delete(session: MigrationSession): void {
    this.#values.delete(session)
  }
}
