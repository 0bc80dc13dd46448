// How two agents get a connection: plain TCP now; mutual TLS would be put in here and nowhere else.

import { connect, createServer, type Server, type Socket } from 'node:net'
import { DroverError } from '@drover/protocol'

const dialDeadlineMs = 5_000

export function listen(address: string, port: number, accept: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ noDelay: true }, accept)
    server.once('error', (cause) => {
      reject(new DroverError('INTERNAL', `listen for streams on ${address}:${port}: ${cause.message}`, { cause }))
    })
    server.listen(port, address, () => resolve(server))
  })
}

export function dial(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true })
    const fail = (reason: string) => {
      socket.destroy()
      reject(new DroverError('TRANSFER_FAILED', `connect to agent ${address}:${port}: ${reason}`))
    }
    const timer = setTimeout(() => fail(`no answer within ${dialDeadlineMs} ms`), dialDeadlineMs)
    const failed = (error: Error) => {
      clearTimeout(timer)
      fail(error.message)
    }
    socket.once('error', failed)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.off('error', failed)
      resolve(socket)
    })
  })
}
