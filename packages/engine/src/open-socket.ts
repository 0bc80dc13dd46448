// Connects to the engine's unix socket, with a deadline and an error that names the socket.

import { connect, type Socket } from 'node:net'
import { DroverError } from '@drover/protocol'

export function openSocket(path: string, deadlineMs: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const timer = setTimeout(() => {
      socket.destroy()
      reject(
        new DroverError('TIMED_OUT', `connect to the engine at ${path}: no answer in ${deadlineMs} ms`, {
          retryable: true,
        }),
      )
    }, deadlineMs)
    socket.once('connect', () => {
      clearTimeout(timer)
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', (cause) => {
      clearTimeout(timer)
      reject(
        new DroverError('ENGINE_FAILED', `connect to the engine at ${path}: ${cause.message}`, {
          cause,
          retryable: true,
        }),
      )
    })
  })
}
