// The Debian images of the migration benchmark. The hosts of a laboratory have no way to a mirror, so they are made on the machine,
// beforehand, and kept for the next run: Debian with systemd (the one of the tests), a pulse service, and for one of them Redis and PostgreSQL.

import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fillDebian, unpackInto } from '@drover/agent'
import { DroverError } from '@drover/protocol'
import { debianDirectory, makeDebianLayer, makeLayer } from '../debian-layer.ts'

export const debianImage = 'bench-debian'
export const servicesImage = 'bench-services'

const pulse = fileURLToPath(new URL('../../../../native/image-tools/build/pulse', import.meta.url))
const extraPackages: Record<string, string[]> = {
  [debianImage]: [],
  [servicesImage]: ['redis-server', 'postgresql', 'postgresql-contrib'],
}

export interface Layers {
  directory: string
  /** Why an image is not there, by name. */
  missing: Record<string, string>
}

/** Makes those that are not there yet (minutes, with the network); one that can't be made is named with its reason. */
export async function makeLayers(names: string[], onProgress: (line: string) => void): Promise<Layers> {
  const directory = join(debianDirectory, `bench-${benchDigest()}`)
  const missing: Record<string, string> = {}
  for (const name of names) {
    if (existsSync(join(directory, `${name}.tar`))) continue
    onProgress(`making the image ${name}, once`)
    const reason = await makeLayer(directory, name, (rootfs) => fill(rootfs, name))
    if (reason === null) continue
    missing[name] = reason
    onProgress(`${name} can't be made here: ${reason}`)
  }
  return { directory, missing }
}

async function fill(rootfs: string, name: string): Promise<void> {
  const more = extraPackages[name] ?? []
  if (more.length > 0) await fillDebian(rootfs, more, () => {}, new AbortController().signal)
  else {
    const reason = await makeDebianLayer()
    if (reason !== null) throw new DroverError('ENGINE_FAILED', reason)
    await unpackInto(join(debianDirectory, 'debian.tar'), rootfs)
  }
  installPulse(rootfs)
  if (name === servicesImage) configureServices(rootfs)
}

function installPulse(rootfs: string): void {
  copyFileSync(pulse, join(rootfs, 'usr/local/bin/pulse'))
  const unit = join(rootfs, 'etc/systemd/system/pulse.service')
  writeFileSync(unit, '[Service]\nExecStart=/usr/local/bin/pulse 7000\nRestart=always\n')
  symlinkSync('../pulse.service', join(rootfs, 'etc/systemd/system/multi-user.target.wants/pulse.service'))
}

/** Both answer to the client outside; Redis keeps all in memory, PostgreSQL is tuned by nothing. */
function configureServices(rootfs: string): void {
  const unit = '[Service]\nExecStart=/usr/bin/redis-server --bind 0.0.0.0 --protected-mode no --save "" --dir /tmp\n'
  writeFileSync(join(rootfs, 'etc/systemd/system/bench-redis.service'), unit)
  for (const service of ['redis-server', 'postgresql']) {
    rmSync(join(rootfs, `etc/systemd/system/multi-user.target.wants/${service}.service`), { force: true })
  }
  rmSync(join(rootfs, 'etc/systemd/system/redis.service'), { force: true })
  const script = `#!/bin/sh
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
rm -rf /var/lib/postgresql/bench
setpriv --reuid postgres --regid postgres --clear-groups $bin/initdb -D /var/lib/postgresql/bench --auth=trust >/dev/null
echo "host all all all trust" >>/var/lib/postgresql/bench/pg_hba.conf
`
  writeFileSync(join(rootfs, 'usr/local/bin/bench-postgres-init'), script, { mode: 0o755 })
  const serve = `[Service]
User=postgres
Type=notify
ExecStartPre=+/usr/local/bin/bench-postgres-init
RuntimeDirectory=postgresql
ExecStart=/bin/sh -c 'exec /usr/lib/postgresql/*/bin/postgres -D /var/lib/postgresql/bench -c listen_addresses=*'
`
  writeFileSync(join(rootfs, 'etc/systemd/system/bench-postgres.service'), serve)
}

/** Other packages or another pulse make other images. */
function benchDigest(): string {
  const parts = [JSON.stringify(extraPackages), installPulse.toString(), configureServices.toString()]
  return createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 12)
}
