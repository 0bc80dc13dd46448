// Failures that a test asks for: the next `times` calls of a method (on one container, or on any) answer with an error
// and change nothing. Tests order them by the extra method `simulate`, which the native engine doesn't have.

import { DroverError, type ErrorCode, errorCodes } from '@drover/protocol'

export interface Fault {
  method: string
  /** null: any container. */
  container: string | null
  code: string
  message: string
  /** 0 takes the fault away. */
  times: number
}

export class Faults {
  #faults: Fault[] = []

  add(fault: Fault): void {
    if (!Object.hasOwn(errorCodes, fault.code)) {
      throw new DroverError('BAD_REQUEST', `simulate: ${fault.code} is not an error code`)
    }
    this.#faults = this.#faults.filter((old) => old.method !== fault.method || old.container !== fault.container)
    if (fault.times > 0) this.#faults.push({ ...fault })
  }

  /** Throws the error that was ordered for this call, if any. */
  strike(method: string, container: string | null): void {
    const fault = this.#faults.find(
      (candidate) => candidate.method === method && (candidate.container ?? container) === container,
    )
    if (!fault) return
    fault.times--
    if (fault.times === 0) this.#faults = this.#faults.filter((candidate) => candidate !== fault)
    throw new DroverError(fault.code as ErrorCode, fault.message)
  }
}
