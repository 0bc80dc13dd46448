// What the apply functions write through: it records the changes for the disk and the events for the users. Rule: refuse
// before the first write. A refusal after a write would leave half a change behind, so it is a broken invariant.

import { type ClusterEvent, DroverError, type ErrorCode, type Host, type Operation } from '@drover/protocol'
import { type Change, type ClusterState, type StoredContainer, writeEntity } from './state.ts'

export class Draft {
  readonly state: ClusterState
  readonly index: number
  readonly atMs: number
  readonly changes: Change[] = []
  readonly events: ClusterEvent[] = []

  constructor(state: ClusterState, index: number, atMs: number) {
    this.state = state
    this.index = index
    this.atMs = atMs
  }

  write(change: Change): void {
    writeEntity(this.state, change)
    this.changes.push(change)
  }

  putHost(host: Omit<Host, 'revision'>): Host {
    const value = { ...host, revision: this.index }
    this.write({ table: 'hosts', key: host.name, value })
    return value
  }

  putContainer(container: StoredContainer): StoredContainer {
    const value = { ...container, revision: this.index }
    this.write({ table: 'containers', key: container.id, value })
    return value
  }

  /** As putContainer, for a change of what its hosts shall do. */
  reassign(container: StoredContainer): StoredContainer {
    return this.putContainer({ ...container, assignedRevision: this.index })
  }

  putOperation(operation: Operation): Operation {
    const value = { ...operation, updatedAtMs: this.atMs, revision: this.index }
    this.write({ table: 'operations', key: operation.id, value })
    return value
  }

  event(kind: string, target: string, message: string, operation: string | null): void {
    this.events.push({ id: this.index, atMs: this.atMs, kind, target, message, operation })
  }

  refuse(code: ErrorCode, message: string, context: Record<string, unknown> = {}): never {
    if (this.changes.length > 0) throw new Error(`apply ${this.index}: refused after a write: ${code} ${message}`)
    throw new DroverError(code, message, { context })
  }

  host(name: string): Host {
    return (
      this.state.tables.hosts.get(name) ??
      this.refuse('HOST_NOT_FOUND', `host ${name} has not joined the cluster`, { host: name })
    )
  }

  containerNamed(name: string): StoredContainer {
    const id = this.state.idsByName.get(name)
    const container = id === undefined ? undefined : this.state.tables.containers.get(id)
    return container ?? this.refuse('CONTAINER_NOT_FOUND', `no container is named ${name}`, { container: name })
  }

  /** `doing`: for the refusal, what is asked of it. */
  containerWithId(id: string, doing: string): StoredContainer {
    const container = this.state.tables.containers.get(id)
    return container ?? this.refuse('CONTAINER_NOT_FOUND', `${doing} ${id}: no such container`, { container: id })
  }

  operation(id: string): Operation {
    return (
      this.state.tables.operations.get(id) ??
      this.refuse('OPERATION_NOT_FOUND', `no operation has the id ${id}`, { operation: id })
    )
  }
}
