// A container's own network comes along: what it has made and set inside, as a firewall, a VPN or a router would.

import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { checkCount, chooseCriu, MigrationStage } from './migration-stage.ts'
import { NetworkInside } from './network-inside.ts'
import { run } from './run-inside.ts'

const settings: Record<string, string> = {
  'ipv4/conf/all/forwarding': '1',
  'ipv4/conf/all/accept_redirects': '1',
  'ipv4/conf/eth0/rp_filter': '2',
  'ipv4/conf/br7/proxy_arp': '1',
  'ipv4/tcp_fin_timeout': '30',
  'ipv4/ip_local_port_range': '20000\t30000',
  'ipv4/ip_unprivileged_port_start': '80',
  'core/somaxconn': '1234',
  'ipv6/conf/all/forwarding': '1',
  'ipv6/conf/eth0/accept_ra': '2',
  'ipv4/neigh/eth0/base_reachable_time_ms': '45000',
}

const links = `
  ip link add br7 type bridge forward_delay 400 ageing_time 20000
  ip link add pair0 type veth peer name pair1
  ip link set pair0 master br7; ip link set pair0 up; ip link set pair1 up; ip link set br7 up
  ip link set pair0 type bridge_slave hairpin on cost 9
  ip link set pair1 alias "to br7"
  ip link set eth0 mtu 1400 txqueuelen 500
  ip addr add 10.99.0.1/24 dev eth0; ip addr add 10.99.0.2/24 dev eth0
  ip addr add 10.98.0.1/24 dev br7; ip addr add fd98::1/64 dev br7 nodad
  ip addr add 192.0.2.1/32 dev lo`

const routes = (gateway: string) => `
  ip route add 198.51.100.0/24 via ${gateway} metric 7
  ip route add 203.0.113.0/24 via 198.18.0.1 dev eth0 onlink mtu 1300
  ip route add default via ${gateway} table 100
  ip route add unreachable 198.51.100.128/25
  ip route add 192.0.2.128/25 nexthop via ${gateway} weight 2 nexthop via 10.98.0.7 dev br7
  ip -6 route add fd97::/64 via fd98::7
  ip rule add from 10.99.0.1 table 100 priority 500; ip rule add fwmark 7 blackhole
  ip -6 rule add to fd97::/64 table 100
  ip rule del priority 32767
  ip neigh add 10.98.0.9 lladdr 02:00:00:00:00:99 dev br7 nud permanent
  ip neigh add proxy 10.98.0.10 dev br7`

t.test('what was configured inside its network', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const inside = async (host: typeof a, container: string) =>
    new NetworkInside((await host.client.call('get', { container })).initPid ?? 0)

  const launched = await stage.launch(a)
  const { spec, stream } = launched
  const { container } = spec
  const there = await inside(a, container)
  there.sh(links)
  const gateway = there.sh("ip -4 route show default | awk '{print $3}'").trim() || '10.99.0.254'
  there.sh(routes(gateway))
  const written = Object.entries(settings).map(([path, value]) => `printf %s '${value}' > /proc/sys/net/${path}`)
  t.equal((await run(a.client, container, written.join(' && '))).code, 0, 'sysctls are written inside')
  const before = there.configuration()

  await t.test('is the same on the other host', async (t) => {
    await stage.moveUntilRestored(a, b, spec)
    await stage.finish(a, b, spec)
    const here = await inside(b, container)
    const after = here.configuration()
    for (const [kind, lines] of Object.entries(before)) t.same(after[kind], lines, kind)
    for (const [path, value] of Object.entries(settings)) t.equal(here.setting(path), value, path)
    await stream.more(5)
  })
  checkCount(t, stream)
  await stage.remove(b, launched)
})

const legacyFirewall = `
  iptables-legacy -P INPUT DROP
  iptables-legacy -N known
  iptables-legacy -A known -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
  iptables-legacy -A INPUT -i lo -j ACCEPT
  iptables-legacy -A INPUT -j known
  iptables-legacy -A INPUT -p icmp -m limit --limit 5/second -j ACCEPT
  iptables-legacy -A INPUT -p tcp -m multiport --dports 2222,2223 -m comment --comment "ssh, elsewhere" -j LOG --log-prefix "ssh: "
  iptables-legacy -t nat -A POSTROUTING -s 10.98.0.0/24 -o eth0 -j MASQUERADE
  iptables-legacy -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
  ip6tables-legacy -P FORWARD DROP
  ip6tables-legacy -A INPUT -p tcp --dport 22 -j ACCEPT`

const firewall = `
  nft 'add table inet fw { comment "of the container"; }'
  nft 'add counter inet fw seen'
  nft 'add set inet fw bad { type ipv4_addr; flags interval; elements = { 192.0.2.7, 198.51.100.0/24, 203.0.113.5-203.0.113.9 }; }'
  nft 'add set inet fw banned { type ipv4_addr; flags timeout; timeout 1h; elements = { 192.0.2.8 timeout 30m }; }'
  nft 'add chain inet fw ssh'
  nft 'add map inet fw ports { type inet_service : verdict; elements = { 22 : jump ssh, 25 : drop }; }'
  nft 'add rule inet fw ssh ct state new limit rate 3/minute accept comment "slowly"'
  nft 'add chain inet fw input { type filter hook input priority filter; policy drop; }'
  nft 'add rule inet fw input ct state vmap { established : accept, related : accept, invalid : drop }'
  nft 'add rule inet fw input ip saddr @bad counter name seen log prefix "bad: " drop'
  nft 'add rule inet fw input tcp dport { 80, 443, 8000-8010 } accept'
  nft 'add set inet fw seen4 { type ipv4_addr; size 1000; flags dynamic; }'
  nft 'add rule inet fw input tcp flags syn add @seen4 { ip saddr counter limit rate 10/second } accept'
  nft 'add set inet fw ranges { type ipv4_addr; flags interval,timeout; timeout 1h; elements = { 192.0.2.16-192.0.2.31 }; }'
  nft 'add rule inet fw input tcp dport vmap @ports'
  nft 'add rule inet fw input tcp dport 99 jump { ip saddr 10.1.1.1 accept; drop; }'
  nft 'add chain inet fw forward { type filter hook forward priority filter; }'
  nft 'add rule inet fw forward tcp flags syn tcp option maxseg size set rt mtu'
  nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority srcnat; }'
  nft 'add rule ip nat post ip saddr 10.98.0.0/24 masquerade'`

const firewallByIptables = `
  iptables-nft -P INPUT DROP
  iptables-nft -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
  iptables-nft -A INPUT -p tcp -m multiport --dports 22,23 -m hashlimit --hashlimit-name ssh --hashlimit-above 5/sec --hashlimit-mode srcip -j DROP
  iptables-nft -A INPUT -p udp ! --dport 53 -m recent --name seen --set -j LOG --log-prefix "udp "
  iptables-nft -A FORWARD ! -p tcp -m addrtype --dst-type LOCAL -j MARK --set-mark 4
  iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 80
  ip6tables-nft -A INPUT -p icmpv6 --icmpv6-type 128 -m limit --limit 4/min -j ACCEPT`

t.test('a firewall, and the connections that it knows', { skip: reasonToSkip, timeout: 300_000 }, async (t) => {
  const criu = chooseCriu()
  if (criu.path === null) return t.comment(`no live moves on this machine: ${criu.reason}`)
  const stage = await MigrationStage.set(criu.path)
  t.teardown(() => stage.strike())
  const { a, b } = stage
  const inside = async (host: typeof a, container: string) =>
    new NetworkInside((await host.client.call('get', { container })).initPid ?? 0)

  for (const [kind, rules] of Object.entries({
    'legacy iptables': legacyFirewall,
    nftables: firewall,
    'iptables-nft': firewallByIptables,
  })) {
    await t.test(kind, async (t) => {
      const launched = await stage.launch(a)
      const { spec, stream } = launched
      const { container } = spec
      const there = await inside(a, container)
      there.sh(rules)
      // Taken up in its middle, as long as that is allowed.
      there.sh('until conntrack -L 2>/dev/null | grep -q ESTABLISHED; do sleep 0.05; done')
      const strict = 'echo 0 > /proc/sys/net/netfilter/nf_conntrack_tcp_loose'
      t.equal((await run(a.client, container, strict)).code, 0, 'from here on only a known connection is let in')
      await stream.more(5)
      const before = there.firewall()

      await stage.moveUntilRestored(a, b, spec)
      await stage.finish(a, b, spec)
      await stream.more(5)
      checkCount(t, stream)
      const after = (await inside(b, container)).firewall()
      t.ok(before.rules.length > 8, `${before.rules.length} lines of rules`)
      t.same(after.rules, before.rules, 'its rules')
      const known = before.connections.filter((line) => line.includes('ESTABLISHED'))
      t.ok(known.length > 0, 'the open connection is known')
      for (const line of known) t.ok(after.connections.includes(line), `and still: ${line}`)
      await stage.remove(b, launched)
    })
  }
})
