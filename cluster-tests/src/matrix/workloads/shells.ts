// What people do in a machine: a shell kept in tmux, a build.

import { imageTool, writeKey } from './image-tool.ts'
import { sshOptions } from './systems.ts'
import { row, type Workload } from './workload.ts'
import { workloadImage } from './workload-layer.ts'

const fromImage = { image: workloadImage, memoryBytes: 1024 << 20 }

export const tmux: Workload = {
  ...fromImage,
  row: row('tmux', 'bash in tmux, one client attached over SSH'),
  async begin(container) {
    await container.booted()
    await container.sh('systemd-run --quiet --unit=tmux -p Type=forking tmux new-session -d -s work -x 120 -y 40 bash')
    await container.sh('tmux list-panes -F "#{pane_pid}" >/run/pane')
  },
  async outside(container) {
    const key = await writeKey(container)
    const command = ['ssh', ...sshOptions, `root@${container.address}`, 'tmux attach -t work']
    return ['shell', ...imageTool(container, key, command)]
  },
  async inside(container) {
    await container.sh('test "$(tmux list-panes -F "#{pane_pid}")" = "$(cat /run/pane)"')
    await container.sh(`tmux send-keys -t work 'echo "inside:$((++inside)):"' Enter`)
    await container.until('the shell in tmux', `tmux capture-pane -p -t work | grep -q "^inside:${container.asked}:"`)
  },
}

const finished = 'cat /var/tmp/build/finished 2>/dev/null | wc -l'
const compiled = 'cat /var/tmp/build/compiled 2>/dev/null | wc -l'
const unspoilt = 'if [ -s /var/tmp/build/failed ]; then cat /var/tmp/build/failed; exit 1; fi'

export const build: Workload = {
  ...fromImage,
  row: row('build', 'make and cc, over and over: many short-lived processes; each program printed the right sum'),
  async begin(container) {
    await container.booted()
    await container.service('build', 'nice /opt/workloads/build.sh')
    await container.until('an object', `test "$(${compiled})" -gt 0`)
  },
  outside: async () => [],
  async inside(container) {
    await container.sh(`${unspoilt}; ${compiled} >/run/compiled`)
    await container.until('the build to go on', `test "$(${compiled})" -gt "$(cat /run/compiled)"`)
    await container.stillRuns('build')
  },
  async end(container) {
    await container.sh(`${finished} >/run/finished`)
    await container.until('the build to finish', `test "$(${finished})" -gt "$(cat /run/finished)"`)
    await container.sh(unspoilt)
  },
}
