// Where a host has more containers than one bridge serves well, the further ones are on bridges of a second level: one network all the same.

import { spawn } from 'node:child_process'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { noLimits } from './engine-spec.ts'
import { checkCount, chooseCriu, MigrationStage } from './migration-stage.ts'
import { LineStream, type TestHost, until } from './native-hosts.ts'
import { OneHost } from './one-host.ts'
import { sh } from './run-inside.ts'

const filters = '/proc/sys/net/bridge/bridge-nf-call-iptables'

/** As where nothing has loaded br_netfilter, or as where something has. */
function filterBridges(host: TestHost, on: boolean): void {
  const files = ['iptables', 'ip6tables', 'arptables'].map((of) => `/proc/sys/net/bridge/bridge-nf-call-${of}`)
  host.run(['sh', '-c', files.map((file) => `[ ! -e ${file} ] || echo ${on ? 1 : 0} > ${file}`).join('\n')])
}

const links = (host: TestHost): string[] => host.run(['ls', '/proc/self/net/dev_snmp6']).trim().split('\n')
const innerBridges = (host: TestHost): string[] => links(host).filter((name) => name.startsWith('dvb'))
/** 0 is the host's bridge; null: on none. */
function placeOf(host: TestHost, serial: number): number | null {
  const master = /master (\S+)/.exec(host.link(`dv${serial}`))?.[1]
  if (master === undefined) return null
  return master === 'br0' ? 0 : Number(/^dvb\d+-(\d+)$/.exec(master)?.[1])
}

t.test('more containers than a bridge takes', { skip: reasonToSkip }, async (t) => {
  const stage = await OneHost.make('a', 91, undefined, { DROVER_LINKS_PER_BRIDGE: '2' })
  t.teardown(async () => {
    const left = await stage.network.close()
    if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
  })
  const { host } = stage
  const address = (serial: number) => `10.91.1.${serial}`
  const reaches = async (serial: number, to: string, seconds = 10) =>
    (await sh(stage.client, `c${serial}`, `ping -c 1 -W ${seconds} ${to}`)).includes('1 packets received')
  const places = (serials: number[]) => serials.map((serial) => placeOf(host, serial))
  const remove = (serial: number) => stage.client.call('delete', { container: `c${serial}`, epoch: 1 })
  const isolate = (serial: number, networkIsolated: boolean) =>
    stage.client.call('update', { container: `c${serial}`, epoch: 1, limits: { ...noLimits, networkIsolated } })
  filterBridges(host, false)

  await t.test('the further ones go to inner bridges, and all reach each other and what is outside', async (t) => {
    for (let serial = 1; serial <= 5; serial++) await stage.start(serial)
    t.same(places([1, 2, 3, 4, 5]), [0, 0, 1, 1, 2])
    for (const [from, to] of [
      [1, 3],
      [3, 4],
      [3, 5],
      [5, 2],
    ] as const)
      t.ok(await reaches(from, address(to)), `${from} reaches ${to}`)
    for (const serial of [1, 5]) t.ok(await reaches(serial, '10.91.0.9'), 'what is beyond the host')
  })

  await t.test('an inner bridge forwards before anybody is on it', async (t) => {
    const events = new LineStream(spawn('nsenter', [...host.network, 'bridge', 'monitor', 'link']))
    t.teardown(() => events.close())
    await until('the first event', () => {
      host.run(['bridge', 'link', 'set', 'dev', 'dv1', 'learning', 'on'])
      return events.lines.length > 0
    })
    for (const serial of [20, 21]) await stage.start(serial)
    t.equal(placeOf(host, 21), 3)
    const at = (event: RegExp) => events.lines.findIndex((line) => event.test(line))
    const joins = await until('the container’s link', () => {
      const first = at(/ dv21@.* master dvb/)
      return first < 0 ? null : first
    })
    for (const end of ['dvu', 'dvd']) {
      const forwards = at(new RegExp(` ${end}\\d+-3@.* state forwarding`))
      t.ok(forwards >= 0 && forwards < joins, `${end} before the container’s link: ${events.lines.join('\n')}`)
    }
    for (const serial of [20, 21]) await remove(serial)
  })

  await t.test('who starts again on another bridge is reached before it says anything', async (t) => {
    t.ok(await reaches(5, address(4)), '5 knows the MAC of 4, and its bridge where it was')
    await stage.client.call('kill', { container: 'c4', epoch: 1, signal: 9 })
    await stage.start(6)
    await stage.client.call('start', { container: 'c4', epoch: 1 })
    t.same(places([6, 4]), [1, 2])
    t.ok(await reaches(5, address(4)))
    t.ok(await reaches(1, address(4)))
  })

  await t.test('isolated ones are all on the host’s bridge, where isolation holds', async (t) => {
    await isolate(5, true)
    await isolate(6, true)
    t.same(places([5, 6]), [0, 0])
    t.notOk(await reaches(5, address(6), 2))
    t.ok(await reaches(5, address(3)))
    t.ok(await reaches(4, address(6)), 'those that are not reach them')
    await isolate(6, false)
    // 5 may for seconds not ask again for the neighbour that it asked for in vain.
    await until('5 reaches 6', () => reaches(5, address(6), 2))
  })

  await t.test('so are those whose packets may be larger than the usual ones', async (t) => {
    await stage.start(7, { limits: { ...noLimits, networkMtu: 9000 } })
    await stage.start(8, { limits: { ...noLimits, networkMtu: 9000 } })
    t.same(places([7, 8]), [0, 0])
    t.match(await sh(stage.client, 'c7', `ping -c 1 -W 10 -s 8000 ${address(8)}`), '1 packets received')
  })

  await t.test('the next engine finds who is where, and goes on', async (t) => {
    await host.killEngine()
    await host.startEngine({ DROVER_LINKS_PER_BRIDGE: '2' })
    t.same(places([1, 3, 4]), [0, 1, 2])
    t.ok(await reaches(3, address(4)))
    await stage.start(9)
    t.equal(placeOf(host, 9), 1, 'there was room')
    await stage.start(10)
    await stage.start(11)
    t.same(places([10, 11]), [2, 3])
    t.ok(await reaches(11, address(9)))
  })

  await t.test('an inner bridge goes with its last container', async (t) => {
    t.equal(innerBridges(host).length, 3)
    await remove(4)
    await remove(10)
    t.same(
      innerBridges(host).map((name) => name.replace(/.*-/, '')),
      ['1', '3'],
    )
    await stage.start(12)
    t.equal(placeOf(host, 12), 2)
    t.ok(await reaches(12, address(11)))
  })

  await t.test('what a killed engine left without containers, the next one removes', async (t) => {
    await host.killEngine()
    host.run(['ip', 'link', 'delete', 'dv12'])
    await host.startEngine({ DROVER_LINKS_PER_BRIDGE: '2' })
    t.equal(innerBridges(host).length, 2)
  })

  await t.test('where a firewall sees what bridges forward, all stay on the one it knows', async (t) => {
    if (!host.run(['sh', '-c', `ls ${filters} 2>/dev/null || true`]).trim()) return t.comment('no br_netfilter here')
    filterBridges(host, true)
    await stage.start(13)
    t.equal(placeOf(host, 13), 0)
  })

  for (const serial of [1, 2, 3, 5, 6, 7, 8, 9, 11, 12, 13]) await remove(serial).catch(() => {})
  t.same(innerBridges(host), [])
})

t.test('moves between inner bridges', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path, undefined, null, { DROVER_LINKS_PER_BRIDGE: '1' })
  t.teardown(() => stage.strike())
  const { a, b } = stage
  for (const host of [a, b]) filterBridges(host, false)
  const others = [await stage.launch(a), await stage.launch(b)] as const
  const launched = await stage.launch(a)
  const { spec, stream } = launched
  const { serial } = spec.identity
  const { container, epoch } = spec

  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    await stage.moveUntilRestored(from, to, spec)
    await stage.finish(from, to, spec)
    await stream.more(20)
    t.equal(placeOf(to, serial), 1)
    t.same(innerBridges(from), [], 'none is left where it was')
  }

  await stage.moveUntilRestored(a, b, spec)
  await b.client.call('delete', { container, epoch })
  await a.client.call('thaw', { container, epoch })
  await stream.more(20)
  t.equal(placeOf(a, serial), 1, 'back where it was when a move is called off')
  checkCount(t, stream)
  await stage.remove(a, launched)
  await stage.remove(a, others[0])
  await stage.remove(b, others[1])
})
