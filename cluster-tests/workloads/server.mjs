// The line server (README.md) on Node.js: sockets on epoll, an interval, files by the thread pool, two worker threads.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'

if (isMainThread) serve()
else parentPort.on('message', (number) => parentPort.postMessage(number))

function serve() {
  const workers = [0, 1].map(() => new Worker(new URL(import.meta.url)))
  let ticks = 0
  setInterval(() => ticks++, 50)
  const asked = (worker) =>
    new Promise((resolve) => {
      worker.once('message', resolve)
      worker.postMessage(1)
    })
  let turn = Promise.resolve()
  createServer((socket) => {
    let sum = 0
    socket.on('error', () => {})
    createInterface({ input: socket }).on('line', (line) => {
      turn = turn.then(async () => {
        sum += Number(line.split(' ')[1])
        const answers = await Promise.all(workers.map(asked))
        await readFile('/etc/os-release')
        await new Promise((resolve) => setTimeout(resolve, 5))
        socket.write(`sum ${sum} ticks ${ticks} workers ${answers.length}\n`)
      })
    })
  }).listen(9000, '::')
}
