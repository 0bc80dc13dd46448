// Whole systems: their init, what it supervises, and the services that every machine has.

import { imageTool, writeKey } from './image-tool.ts'
import { row, type Workload } from './workload.ts'
import { workloadImage } from './workload-layer.ts'

export const busyboxInit: Workload = {
  row: row('busybox', 'busybox init: syslogd, crond and httpd, respawned when they end'),
  image: 'busybox',
  memoryBytes: 64 << 20,
  async begin(container) {
    await container.until('httpd', 'wget -q -O - http://127.0.0.1/ | grep -q runs')
  },
  outside: async ({ address }) => ['http', address, '80', 'close'],
  async inside(container) {
    await container.sh('wget -q -O - http://127.0.0.1/ | grep -q runs')
    await container.sh(`logger mark-${container.asked}`)
    await container.until('syslogd to write', `grep -q mark-${container.asked} /var/log/messages`)
    await container.sh(`${syslogdBegan} >/tmp/syslogd && kill $(pidof syslogd)`)
    await container.until('syslogd to be started again', `[ "$(${syslogdBegan})" -gt "$(cat /tmp/syslogd)" ]`)
    await container.until('its log', 'test -S /dev/log')
  },
}

/** Not its pid, which the next one may get: after a restore the kernel counts pids from the beginning (proc_pid_stat(5), field 22). */
const syslogdBegan = 'cut -d " " -f 22 /proc/$(pidof syslogd)/stat'

export const systemd: Workload = {
  row: row('systemd', 'Debian + systemd: journald, cron, a timer, D-Bus, an SSH session that is typed into'),
  image: workloadImage,
  memoryBytes: 1024 << 20,
  async begin(container) {
    await container.booted()
    await container.sh(setUp)
  },
  async outside(container) {
    const key = await writeKey(container)
    return ['shell', ...imageTool(container, key, ['ssh', ...sshOptions, `root@${container.address}`])]
  },
  async inside(container) {
    const mark = `mark-${container.asked}`
    await container.sh('test "$(systemctl is-system-running)" = running || { systemctl --failed --no-legend; exit 1; }')
    await container.sh(`logger ${mark}; wc -l </var/tmp/beats >/run/beats; ${lastLine} >/run/last-line`)
    await container.until('journald to write', `journalctl --no-pager -n 1000 -t root | grep -q ${mark}`)
    await container.until('a service’s lines in the journal', `test "$(${lastLine})" -gt "$(cat /run/last-line)"`)
    await container.until('the timer to fire', 'test "$(wc -l </var/tmp/beats)" -gt "$(cat /run/beats)"')
    await container.sh('busctl call org.freedesktop.DBus / org.freedesktop.DBus GetId')
    await container.sh(
      'busctl get-property org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager SystemState | grep -q running',
    )
    await container.sh('systemctl restart beat.timer && systemd-run --quiet --wait true')
  },
  async end(container) {
    await container.sh('wc -l </var/tmp/cron >/run/cron')
    await container.until('cron to run', 'test "$(wc -l </var/tmp/cron)" -gt "$(cat /run/cron)"')
    await container.sh(
      `test "$(journalctl --no-pager -o cat -u writer | awk '/^line/ && $2 != ++n {print "line", n, "is missing"; exit}')" = ""`,
    )
  },
}

export const sshOptions = [
  ...['-tt', '-i', '/run/key', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
  ...['-o', 'LogLevel=ERROR', '-o', 'ServerAliveInterval=0'],
]

/** Number of the newest line that the service `writer` has in the journal. */
const lastLine = `journalctl --no-pager -o cat -n 1 -u writer | awk '/^line/ {print $2; found = 1} END {if (!found) print 0}'`

const setUp = `
set -e
touch /var/tmp/beats /var/tmp/cron
echo '* * * * * root date >>/var/tmp/cron' >/etc/cron.d/matrix
printf '[Unit]\\nStartLimitIntervalSec=0\\n[Service]\\nType=oneshot\\nExecStart=/bin/sh -c "date >>/var/tmp/beats"\\n' >/etc/systemd/system/beat.service
printf '[Unit]\\nStartLimitIntervalSec=0\\n[Timer]\\nOnActiveSec=1\\nOnUnitActiveSec=2\\nAccuracySec=100ms\\n' >/etc/systemd/system/beat.timer
systemctl daemon-reload
systemctl start cron beat.timer
systemd-run --quiet --unit=writer bash -c 'while :; do echo "line $((++n))"; sleep 0.5; done'
`
