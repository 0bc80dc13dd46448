// The consoles of this host's containers, one per container that somebody watches: what its init writes, and a login on a terminal of its
// own, which all who are attached share. Detaching leaves the login as it is; it ends with the container, with a live move (the terminal's
// other end is held outside, which no dump could take along: clients attach again on the other host), or an hour after the last has left.

import type { EnginePort, ExecPort } from '../engine-port.ts'
import { ConsoleTerminal, type Viewer } from './console-terminal.ts'

export type { Viewer } from './console-terminal.ts'

export class Consoles {
  readonly #engine: EnginePort
  readonly #terminals = new Map<string, ConsoleTerminal>()

  constructor(engine: EnginePort) {
    this.#engine = engine
  }

  /** As one who types and reads until `close`. `exit` is settled when the console ends. */
  async attach(container: string, size: { columns: number; rows: number }, viewer: Viewer): Promise<ExecPort> {
    let terminal = this.#terminals.get(container)
    if (!terminal) {
      terminal = new ConsoleTerminal(this.#engine, container, () => this.#terminals.delete(container))
      this.#terminals.set(container, terminal)
    }
    await terminal.join(viewer, size)
    const joined = terminal
    return {
      exit: terminal.ended,
      write: (data) => joined.write(data),
      resize: (columns, rows) => joined.resize({ columns, rows }),
      close: () => joined.leave(viewer),
      // The end of one viewer's input is not that of the others', and programs are signalled by keys.
      end() {},
      signal() {},
      pause: () => joined.hold(viewer, true),
      resume: () => joined.hold(viewer, false),
    }
  }
}
