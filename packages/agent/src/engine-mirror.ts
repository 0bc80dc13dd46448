// What the agent knows of its engine's containers: fed by lists, events and the answers to calls. Those come over several
// connections and may overtake each other, so each container carries the sequence of its last direct answer: a list that was
// asked for before it doesn't overwrite it, and an event about a container that was just deleted doesn't bring it back.

import type { EngineContainer, EngineHello } from '@drover/engine'
import { sameValue } from './same-value.ts'

export class EngineMirror {
  hello: EngineHello | null = null
  up = false
  #containers = new Map<string, EngineContainer>()
  /** Sequence of the last answer about a container, deleted ones included until a later list confirms them gone. */
  #answered = new Map<string, number>()
  #sequence = 0
  readonly #seen: (container: EngineContainer) => EngineContainer

  /** `seen` may know more of a container than its engine does. */
  constructor(seen: (container: EngineContainer) => EngineContainer = (container) => container) {
    this.#seen = seen
  }

  get(container: string): EngineContainer | null {
    return this.#containers.get(container) ?? null
  }

  all(): EngineContainer[] {
    return [...this.#containers.values()]
  }

  /** Take the mark before asking for a list, give it back with the list. */
  mark(): number {
    return this.#sequence
  }

  /** A full list that was asked for at `mark`. Returns the containers whose state changed or that came or went. */
  replaceAll(list: EngineContainer[], mark: number): string[] {
    const changed: string[] = []
    const listed = new Set(list.map((container) => container.container))
    for (const container of this.#containers.keys()) {
      if (listed.has(container) || (this.#answered.get(container) ?? 0) > mark) continue
      this.#containers.delete(container)
      changed.push(container)
    }
    for (const container of list) {
      if ((this.#answered.get(container.container) ?? 0) > mark) continue
      if (this.#set(container)) changed.push(container.container)
    }
    for (const [container, sequence] of this.#answered) if (sequence <= mark) this.#answered.delete(container)
    return changed
  }

  /** The answer to a call: the newest truth there is. */
  answer(container: EngineContainer): void {
    this.#answered.set(container.container, ++this.#sequence)
    this.#set(container)
  }

  /** A delete was answered. */
  forget(container: string): void {
    this.#answered.set(container, ++this.#sequence)
    this.#containers.delete(container)
  }

  /** An event; returns whether it says something new. */
  event(container: EngineContainer): boolean {
    const deletedHere = this.#answered.has(container.container) && !this.#containers.has(container.container)
    return !deletedHere && this.#set(container)
  }

  /** A new engine process may have lost anything: only its list counts. */
  reset(): void {
    this.#answered.clear()
    this.#containers.clear()
  }

  #set(told: EngineContainer): boolean {
    const container = this.#seen(told)
    const before = this.#containers.get(container.container)
    this.#containers.set(container.container, container)
    return (
      !before ||
      before.state !== container.state ||
      before.initPid !== container.initPid ||
      before.epoch !== container.epoch ||
      before.starts !== container.starts ||
      !sameValue(before.memory, container.memory) ||
      !sameValue(before.limits, container.limits)
    )
  }
}
