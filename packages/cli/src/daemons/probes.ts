// Questions by which a daemon is found ready, each answered with no more than one connection.

import { connect, type NetConnectOpts } from 'node:net'

/** A probe that gets no answer in this time counts as not ready, and is asked again. */
const probeTimeoutMs = 1_000

/** Whether something accepts connections there; a unix socket's path, or address and port. */
export function accepts(target: NetConnectOpts): Promise<boolean> {
  return converse(target, () => true, null)
}

/** nats-server greets each client with an INFO line. */
export function greetsAsNats(host: string, port: number): Promise<boolean> {
  return converse({ host, port }, null, (text) => text.startsWith('INFO '))
}

export async function answersHttp(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(probeTimeoutMs) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}

function converse(
  target: NetConnectOpts,
  onConnect: (() => boolean) | null,
  onText: ((text: string) => boolean) | null,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(target)
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(probeTimeoutMs, () => finish(false))
    socket.on('error', () => finish(false))
    socket.on('close', () => finish(false))
    socket.on('connect', () => {
      if (onConnect !== null) finish(onConnect())
    })
    socket.on('data', (data) => {
      if (onText !== null) finish(onText(data.toString('latin1')))
    })
  })
}
