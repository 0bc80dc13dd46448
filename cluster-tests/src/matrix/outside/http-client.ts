// HTTP: `keep` sends each request over the same four connections; `close` holds none, since the server closes each.

import { LineSocket } from './line-socket.ts'
import type { Check } from './main.ts'

const keptConnections = 4

export async function httpClient([address = '', port = '', mode = '']: string[]): Promise<Check> {
  const open = () => LineSocket.open(address, Number(port))
  if (mode === 'close') {
    return async () => {
      const socket = await open()
      await get(socket, address)
      socket.close()
    }
  }
  const sockets = await Promise.all(Array.from({ length: keptConnections }, open))
  return async () => {
    // Twice, so that the second request finds a connection that has answered after the move.
    for (const socket of [...sockets, ...sockets]) await get(socket, address)
  }
}

/** Reads up to the page's one line that all pages here have. */
async function get(socket: LineSocket, address: string): Promise<void> {
  socket.write(`GET / HTTP/1.1\r\nHost: ${address}\r\n\r\n`)
  const status = await socket.line()
  if (!status.startsWith('HTTP/1.1 200')) throw new Error(`not 200: ${status}`)
  for (let line = status; !line.includes('runs.'); ) line = await socket.line()
}
