// The laboratory without root: hosts on loopback addresses with the simulated engine; and what it knows of cgroups.

import { existsSync, readlinkSync } from 'node:fs'
import { findNatsServer, identify } from '@drover/cli/daemons'
import t from 'tap'
import { hierarchies } from '../src/lab/cgroups.ts'
import { Lab, leftovers, namespaceUsers } from '../src/lab/index.ts'

t.test('hierarchies: version 1 and 2 side by side', async (t) => {
  const mountinfo = `25 20 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
27 25 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset,clone_children
28 25 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
29 25 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
  t.strictSame(hierarchies(mountinfo), [
    { mountPoint: '/sys/fs/cgroup/cpu,cpuacct', version: 1, cpuset: false },
    { mountPoint: '/sys/fs/cgroup/cpuset', version: 1, cpuset: true },
    { mountPoint: '/sys/fs/cgroup/systemd', version: 1, cpuset: false },
    { mountPoint: '/sys/fs/cgroup/unified', version: 2, cpuset: false },
  ])
})

t.test('hierarchies: pure version 2, and what is mounted over a path hides what was there', async (t) => {
  const v2 = '30 20 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n'
  t.strictSame(hierarchies(v2), [{ mountPoint: '/sys/fs/cgroup', version: 2, cpuset: false }])
  t.strictSame(hierarchies(`${v2}31 30 0:50 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n`), [])
})

t.test('leftovers: whoever was in its namespaces, and nobody who came into others of the same number', async (t) => {
  const own = identify(process.pid)
  if (own === null) throw new Error('/proc does not show this process')
  const lists = { cgroups: [], links: [], directories: [], namespaces: [readlinkSync('/proc/self/ns/net')] }
  const state = { id: 'none', owner: own, network: '10.1', holders: {}, ...lists }
  t.ok(namespaceUsers(state).some(({ pid }) => pid === process.pid))
  t.match(leftovers(state, [own]), [new RegExp(`^process ${process.pid} .* in namespace net:`)])
  t.strictSame(leftovers(state, []), [])
  t.strictSame(leftovers(state, [{ ...own, startTicks: own.startTicks - 1 }]), [], 'nor who got a pid anew')
})

t.test('a simulated laboratory: it starts, takes orders, finds its leader again, and leaves nothing', async (t) => {
  if (findNatsServer() === null) {
    t.pass('left out', { skip: 'there is no nats-server' })
    return
  }
  const lab = await Lab.start({ engine: 'simulated', hosts: ['a', 'b'], controllers: 1 })
  t.teardown(() => lab.down())
  await lab.query(['image', 'build', 'busybox'])
  await lab.query(['launch', 'web'])
  const { id, host } = await lab.query<{ id: string; host: string }>(['info', 'web'])
  t.strictSame(await lab.hostsRunning(id), [host])
  await lab.kill('a', 'controller')
  t.equal(lab.isRunning('a', 'controller'), false)
  await lab.restart('a', 'controller')
  t.equal((await lab.whole()).leader, 'a')
  await lab.query(['move', 'web'])
  t.not((await lab.query<{ host: string }>(['info', 'web'])).host, host)
  t.ok(lab.leftovers().length > 5, 'leftovers see it while it is up')
  await lab.down()
  t.strictSame(lab.leftovers(), [])
  t.equal(existsSync(lab.directory), false)
})
