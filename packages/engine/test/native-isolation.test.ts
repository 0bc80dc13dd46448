// What a container of the real engine sees and reaches of its host: nothing, whatever links it makes.

import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { EngineClient } from '../src/index.ts'
import { makeEngineImage } from './engine-image.ts'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

let stage: OneHost
let client: EngineClient

t.test('containers of the native engine apart from their host', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('a', 66)
  t.teardown(() => stage.network.close())
  client = stage.client

  await t.test('a container sees and reaches nothing of its host', async (t) => {
    const container = await stage.startFor(t)
    const processes = (await sh(client, container, 'ps -o args')).split('\n')
    t.ok(processes.length <= 6, `only its own processes, not ${processes.length}`)
    t.match(
      await sh(
        client,
        container,
        'mount -t tmpfs none /proc/sys/kernel/random; echo x > /proc/sys/kernel/core_pattern',
      ),
      /denied|Permission|read-only/i,
    )
    const bounding = BigInt(`0x${(await sh(client, container, 'grep CapBnd /proc/self/status')).split(/\s+/)[1]}`)
    for (const [name, bit] of Object.entries({
      SYS_MODULE: 16n,
      SYS_RAWIO: 17n,
      SYS_TIME: 25n,
      MAC_ADMIN: 33n,
      SYSLOG: 34n,
    })) {
      t.equal((bounding >> bit) & 1n, 0n, `without CAP_${name}`)
    }
    const readable = await sh(
      client,
      container,
      'for f in kcore kmsg timer_list slabinfo; do busybox head -c 1 /proc/$f; done 2>&1 | grep -v -e denied -e "No such file"',
    )
    t.notMatch(readable, /./, 'kernel memory and logs can not be read')
    const writable =
      'busybox find /proc/sys /proc/sysrq-trigger /sys -type f -writable 2>/dev/null | grep -v /net/ | grep -v ^/sys/fs/cgroup/'
    t.equal(
      await sh(client, container, writable),
      '',
      'no setting of the kernel can be written, but those of its own network',
    )
    t.match(await sh(client, container, 'grep Seccomp: /proc/1/status'), /2$/)
    t.notMatch(await sh(client, container, 'cat /proc/self/mountinfo'), stage.network.directory, 'not even paths')
    t.match(await sh(client, container, 'busybox mknod /tmp/sda b 8 0; ls /tmp'), /not permitted/)
    t.notMatch(await sh(client, container, 'cat /proc/self/cgroup'), 'drover')
  })

  await t.test('links that a container makes lead the engine nowhere', async (t) => {
    const secret = join(stage.network.directory, 'secret')
    writeFileSync(secret, 'secret of the host')
    t.teardown(() => rmSync(secret))
    const container = await stage.startFor(t)
    await sh(
      client,
      container,
      `rm /var/log/console.log; ln -s ${secret} /var/log/console.log || busybox ln -s ${secret} /var/log/console.log`,
    )
    t.match(await client.call('logs', { container, offset: 0, limit: 1000 }), { size: 0 })
    await sh(
      client,
      container,
      'rm -r /var/log; busybox ln -s / /var/log; rm /etc/hostname; busybox ln -s /usr/etc/passwd /etc/hostname',
    )
    await client.call('kill', { container, epoch: 1, signal: 9 })
    t.match(await client.call('start', { container, epoch: 1 }), { state: 'running' })
    t.equal(readFileSync(secret, 'utf8'), 'secret of the host')
    const evil = join(stage.network.directory, 'evil')
    mkdirSync(join(evil, 'dev-is-a-link'), { recursive: true })
    makeEngineImage(evil)
    rmSync(join(evil, 'dev'), { recursive: true })
    symlinkSync('../../../../../../../../../../../../../tmp', join(evil, 'dev'))
    const trapped = await stage.startedFor(t, { rootfs: evil })
    t.equal(
      await sh(client, trapped.container, 'ls -l /tmp/null | head -c 10'),
      'crw-rw-rw-',
      'the link was followed inside the root only',
    )
    t.notOk(existsSync('/tmp/urandom'))
  })
})
