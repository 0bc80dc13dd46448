// Many reads, one barrier: a barrier is a log entry with a disk flush on a majority, so callers share it.
//
// A caller may not join a barrier that was issued before its call (it could have passed already), so it joins the next one.

import type { DroverError } from '@drover/protocol'

interface Waiter {
  resolve: () => void
  reject: (error: unknown) => void
  timer: NodeJS.Timeout
}

export class SharedBarrier {
  readonly #issue: () => Promise<void>
  #next: Waiter[] = []
  #running = false

  constructor(issue: () => Promise<void>) {
    this.#issue = issue
  }

  wait(deadlineMs: number, late: () => DroverError): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(late()), deadlineMs)
      this.#next.push({ resolve, reject, timer })
      if (!this.#running) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#running = true
    // The callers of one turn of the loop share the first barrier, too.
    await Promise.resolve()
    while (this.#next.length > 0) {
      const waiters = this.#next
      this.#next = []
      let failure: unknown = null
      try {
        await this.#issue()
      } catch (error) {
        failure = error
      }
      for (const waiter of waiters) {
        clearTimeout(waiter.timer)
        if (failure) waiter.reject(failure)
        else waiter.resolve()
      }
    }
    this.#running = false
  }
}
