// The host's settings of the kernel: raised where they are low, never lowered, and what can't be is said.

import t from 'tap'
import { hostSettings, type Kernel, tuneHost } from '../src/tune-host.ts'

/** A kernel with these settings; `sealed` can't be written. */
function kernelWith(
  values: Record<string, string>,
  sealed: string[] = [],
): Kernel & { values: Record<string, string> } {
  return {
    values,
    read: (path) => values[path] ?? null,
    write: (path, value) => {
      if (sealed.includes(path)) throw new Error('EACCES: permission denied')
      values[path] = value
    },
  }
}

t.test('tune: low settings are raised, higher ones and unknown ones stay, a second time nothing', async (t) => {
  const kernel = kernelWith({
    'fs/inotify/max_user_instances': '128',
    'fs/inotify/max_user_watches': '2000000',
    'kernel/pid_max': '4194304',
    'net/ipv4/neigh/default/gc_thresh3': '1024',
    'vm/max_map_count': 'unlimited',
  })
  t.same(tuneHost(kernel), {
    raised: ['fs.inotify.max_user_instances 128 → 1048576', 'net.ipv4.neigh.default.gc_thresh3 1024 → 8192'],
    refused: [],
  })
  t.same(kernel.values, {
    'fs/inotify/max_user_instances': '1048576',
    'fs/inotify/max_user_watches': '2000000',
    'kernel/pid_max': '4194304',
    'net/ipv4/neigh/default/gc_thresh3': '8192',
    'vm/max_map_count': 'unlimited',
  })
  t.same(tuneHost(kernel), { raised: [], refused: [] })
})

t.test('tune: what the kernel refuses is said, and the rest is done', async (t) => {
  const all = Object.fromEntries(hostSettings.map(([path]) => [path, '1']))
  const kernel = kernelWith(all, ['kernel/pid_max'])
  const { raised, refused } = tuneHost(kernel)
  t.equal(raised.length, hostSettings.length - 1)
  t.same(refused, ['kernel.pid_max 1 → 4194304: EACCES: permission denied'])
})
