// Language runtimes, each with the same small server (cluster-tests/workloads/README.md) on its own event loop, timers and threads.

import { row, type Workload } from './workload.ts'
import { workloadImage } from './workload-layer.ts'

function runtime(name: string, what: string, command: string): Workload {
  return {
    row: row(name, what),
    image: workloadImage,
    memoryBytes: 1024 << 20,
    async begin(container) {
      await container.booted()
      await container.service(name, command)
      await container.until(`${name} to answer`, ask)
    },
    outside: async ({ address }) => ['lines', address, '9000'],
    async inside(container) {
      await container.sh(ask)
      await container.stillRuns(name)
    },
  }
}

const ask = `bash -c 'exec 3<>/dev/tcp/127.0.0.1/9000 && echo add 5 >&3 && read -r -t 30 -u 3 line && [[ $line == "sum 5 ticks "*" workers 2" ]] || { echo "$line"; exit 1; }'`

export const runtimes: Workload[] = [
  runtime('node', 'Node.js: epoll, timers, the thread pool, worker threads', 'node server.mjs'),
  runtime('python', 'Python: asyncio and threads', 'python3 server.py'),
  runtime('java', 'Java: OpenJDK with a thread for each connection and two executors', 'java -Xmx128m Server.java'),
]
