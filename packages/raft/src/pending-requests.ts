// The requests to the raft thread that wait for an answer, each with its deadline.
//
// A request is *held* while no leader is known (an election is under way) and *sent* once this member leads. What was sent may
// be committed whatever happens here afterwards, so how a request ends depends on whether it was.

import { DroverError } from '@drover/protocol'

interface PendingRequest {
  send: (sequence: number) => boolean
  sent: boolean
  resolve: (value: unknown) => void
  reject: (error: DroverError) => void
  timer: NodeJS.Timeout
}

export class PendingRequests {
  readonly #requests = new Map<number, PendingRequest>()
  #lastSequence = 0

  get size(): number {
    return this.#requests.size
  }

  /** `late` makes the error for a request whose deadline has passed. */
  add<Value>(
    send: (sequence: number) => boolean,
    deadlineMs: number,
    late: (sent: boolean) => DroverError,
  ): { sequence: number; answer: Promise<Value> } {
    this.#lastSequence += 1
    const sequence = this.#lastSequence
    const answer = new Promise<Value>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.reject(sequence, late(this.#requests.get(sequence)?.sent ?? false))
      }, deadlineMs)
      this.#requests.set(sequence, { send, sent: false, resolve: resolve as (value: unknown) => void, reject, timer })
    })
    return { sequence, answer }
  }

  send(sequence: number): void {
    const request = this.#requests.get(sequence)
    if (!request || request.sent) return
    request.sent = true
    if (!request.send(sequence)) {
      this.reject(
        sequence,
        new DroverError('LIMIT_REACHED', 'hand a request to raft: its queue is full or it is closing'),
      )
    }
  }

  sendHeld(): void {
    for (const sequence of [...this.#requests.keys()]) this.send(sequence)
  }

  /** The raft thread appended nothing: it waits for the next leader. */
  hold(sequence: number): void {
    const request = this.#requests.get(sequence)
    if (request) request.sent = false
  }

  resolve(sequence: number, value: unknown): void {
    this.#take(sequence)?.resolve(value)
  }

  reject(sequence: number, error: DroverError): void {
    this.#take(sequence)?.reject(error)
  }

  rejectWhere(sent: boolean, error: DroverError): void {
    for (const [sequence, request] of [...this.#requests]) if (request.sent === sent) this.reject(sequence, error)
  }

  #take(sequence: number): PendingRequest | undefined {
    const request = this.#requests.get(sequence)
    if (request) clearTimeout(request.timer)
    this.#requests.delete(sequence)
    return request
  }
}
