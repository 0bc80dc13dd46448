// ps, top and df against scripted figures.

import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'

const init = {
  pid: 1,
  hostPid: 4001,
  hostParentPid: 3,
  uid: 0,
  state: 'S',
  threads: 1,
  cpuUsec: 62_340_000,
  memoryBytes: 1 << 20,
  readBytes: 0,
  writtenBytes: 0,
  command: '/sbin/init',
}
const busy = { ...init, pid: 7, hostPid: 4007, uid: 33, cpuUsec: 0, command: 'spin \x1b[31m' }

async function scripted(t: Parameters<typeof fakeCluster>[0], answers: Record<string, unknown[]>) {
  const cluster = await fakeCluster(t)
  cluster.onWrite = (_method, path) => {
    const list = answers[path.split('/').slice(3).join('/')] ?? []
    return (list.length > 1 ? list.shift() : list[0]) as never
  }
  return cluster
}

t.test('ps: by pid, with time and memory, and nothing that plays with the terminal', async (t) => {
  const cluster = await scripted(t, { 'web-1/inside/processes': [{ processes: [busy, init], more: false, atMs: 0 }] })
  const { stdout } = await cluster.drover(['ps', 'web-1'])
  t.match(stdout, /\n +1 +0 +S +1:02\.34 +1 MiB +\/sbin\/init\n +7 +33 /)
  t.notMatch(stdout, '\x1b')
  t.match((await cluster.drover(['ps', 'web-1', '--json'])).json(), [{ pid: 7 }, { pid: 1, hostPid: 4001 }])
})

t.test('top: rates between two samples, the busiest first; a new process has none', async (t) => {
  const later = { ...busy, cpuUsec: 500_000, writtenBytes: 4096 }
  const fresh = { ...busy, hostPid: 5000, pid: 9, cpuUsec: 900_000_000, command: 'new' }
  const cluster = await scripted(t, {
    'web-1/inside/processes': [
      { processes: [init, busy], more: false, atMs: 1000 },
      { processes: [init, later, fresh], more: false, atMs: 2000 },
    ],
  })
  const { stdout } = await cluster.drover(['top', 'web-1', '--interval', '1ms', '--json'])
  t.match(JSON.parse(stdout), [
    { name: /^7 spin/, cpuPercent: 50, writtenBytesPerSecond: 4096 },
    { cpuPercent: 0 },
    { cpuPercent: 0 },
  ])
})

t.test('top: containers that run; one that has gone is left out', async (t) => {
  const usage = { memoryBytes: 5 << 20, cpuUsec: 0, processes: 3, readBytes: 0, writtenBytes: 0, fileSystems: [] }
  const cluster = await scripted(t, {
    'web-1/inside/usage': [
      { ...usage, atMs: 0 },
      { ...usage, cpuUsec: 2_000_000, atMs: 1000 },
    ],
    'web-3/inside/usage': [{ status: 404, code: 'CONTAINER_NOT_FOUND', message: 'gone' }],
  })
  const { container } = await import('./resources.ts')
  cluster.containers.push(container('web-3'))
  const { stdout, exitCode } = await cluster.drover(['top', '--interval', '1ms'])
  t.equal(exitCode, 0)
  t.match(stdout, /200\.0 % +5 MiB .* web-1/)
  t.notMatch(stdout, /web-[23]/)
})

t.test('df: size, used and free of each file system', async (t) => {
  const root = { path: '/', type: 'overlay', totalBytes: 4 * 2 ** 30, usedBytes: 2 ** 30, availableBytes: 2 ** 31 }
  const cluster = await scripted(t, { 'web-1/inside/usage': [{ fileSystems: [root] }] })
  const { stdout } = await cluster.drover(['df', 'web-1'])
  t.match(stdout, /web-1 +\/ +overlay +4 GiB +1 GiB +2 GiB +25 %/)
  t.match((await cluster.drover(['df', 'web-1', '--json'])).json(), [{ container: 'web-1', path: '/' }])
})

t.test(
  'ls --columns: those that are asked for, with what each uses at the moment; others are refused by name',
  async (t) => {
    const usage = { memoryBytes: 5 << 20, cpuUsec: 0, processes: 3, readBytes: 0, writtenBytes: 0, fileSystems: [] }
    const cluster = await scripted(t, { 'web-1/inside/usage': [{ ...usage, atMs: 0 }] })
    const { stdout } = await cluster.drover(['ls', '--columns', 'name,used,processes,memory,cpu-request'])
    t.match(stdout, /^NAME +USED +PROCESSES +MEMORY +CPU REQUEST\nweb-1 +5 MiB +3 +64 MiB +0\.1\nweb-2 +– +– +/)
    t.equal(cluster.writes.length, 1, 'only who runs is asked')
    await cluster.drover(['ls', '-c', 'name,labels'])
    t.equal(cluster.writes.length, 1, 'and only for these columns')
    t.match(await cluster.drover(['ls', '-c', 'name,colour']), {
      exitCode: 2,
      stderr: /"colour" is no column; there are name, state/,
    })
  },
)
