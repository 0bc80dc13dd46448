// A model host on a real NATS server: what the agent's bus does, as thinly as possible.

import { type AssignmentBatch, subjects } from '@drover/protocol'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import type { ModelHost } from './model-host.ts'

export class BusAgent {
  readonly host: ModelHost
  readonly #cluster: string
  readonly #connection: NatsConnection
  #timers: NodeJS.Timeout[] = []

  private constructor(host: ModelHost, cluster: string, connection: NatsConnection) {
    this.host = host
    this.#cluster = cluster
    this.#connection = connection
  }

  static async start(host: ModelHost, cluster: string, server: string, token: string): Promise<BusAgent> {
    const connection = await connect({ servers: [server], token, maxReconnectAttempts: -1, reconnectTimeWait: 50 })
    const agent = new BusAgent(host, cluster, connection)
    connection.subscribe(subjects.assignments(cluster, host.name), {
      callback: (_error, message) => agent.#take(message.json<AssignmentBatch>()),
    })
    agent.#timers = [setInterval(() => agent.publish(), 200), setInterval(() => void agent.pull(), 1000)]
    agent.publish()
    await agent.pull()
    return agent
  }

  publish(): void {
    if (!this.#connection.isClosed())
      this.#connection.publish(subjects.reports(this.#cluster), JSON.stringify(this.host.report()))
  }

  async pull(): Promise<void> {
    const request = { cluster: this.#cluster, host: this.host.name, session: this.host.session }
    try {
      const answer = await this.#connection.request(subjects.pull(this.#cluster), JSON.stringify(request), {
        timeout: 500,
      })
      const batch = answer.json<AssignmentBatch>()
      if (Array.isArray(batch.assignments)) this.#take(batch)
    } catch {
      // No leader now; the next pull does it.
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    await this.#connection.close()
  }

  #take(batch: AssignmentBatch): void {
    this.host.receive(batch)
    while (this.host.act()) this.publish()
    this.publish()
  }
}
