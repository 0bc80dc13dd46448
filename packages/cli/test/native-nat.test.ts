// NAT of `drover up` in namespaces of its own: a container's network behind the machine, and an outside that knows no way back to
// it, so that only a translated address gets an answer.

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { isRoot, nftThere } from '../src/daemons/index.ts'

const compiled = fileURLToPath(new URL('../dist/daemons/index.js', import.meta.url))

/** Ends with its namespaces and all in them; each question is answered by one line. */
const script = `set -e
mount -t tmpfs run /run
ip link set lo up
ip netns add container; ip netns add outside
ip link add drover0 type bridge; ip address add 10.77.0.1/16 dev drover0; ip link set drover0 up
ip link add c type veth peer name eth0 netns container; ip link set c master drover0 up
ip link add uplink type veth peer name eth0 netns outside
ip address add 192.0.2.1/24 dev uplink; ip link set uplink up
ip -n container address add 10.77.1.5/16 dev eth0; ip -n container link set eth0 up
ip -n container route add default via 10.77.0.1
ip -n outside address add 192.0.2.2/24 dev eth0; ip -n outside link set eth0 up
echo 0 >/proc/sys/net/ipv4/ip_forward
nft add table ip mine
serve="require('net').createServer((s) => s.end(s.remoteAddress)).listen(80, '192.0.2.2', () => console.log('up'))"
coproc SERVER { exec ip netns exec outside "$NODE" -e "$serve"; }
trap 'kill $SERVER_PID' EXIT
read -r _ <&"\${SERVER[0]}"
ask="const s = require('net').connect(80, '192.0.2.2'); s.setTimeout(2000, () => { console.log('nobody'); process.exit() });
  s.on('error', () => { console.log('nobody'); process.exit() }); s.pipe(process.stdout)"
answer() { echo "$1: $(ip netns exec container "$NODE" -e "$ask")"; }
drover() { "$NODE" -e "import(process.env.COMPILED).then((daemons) => daemons.$1('$DATA', '10.77.0.0/16'))"; }
state() { echo "$1: $(nft list tables | tr '\\n' ' ')forwarding $(cat /proc/sys/net/ipv4/ip_forward)"; }
answer before
drover ensureNat; drover ensureNat
answer with
echo "rules: $(nft list ruleset | grep -c masquerade)"
state with-state
drover removeNat
state without-state
drover removeNat
answer after
`

const skip = !isRoot() ? 'needs root: namespaces' : !nftThere() ? 'nft is not installed (package nftables)' : false

t.test(
  'NAT: containers reach the outside with it, nothing else is changed, and it goes as it came',
  { skip },
  async (t) => {
    const data = temporaryDirectory(t, 'nat')
    const said = execFileSync('unshare', ['--net', '--mount', '--propagation', 'private', 'bash', '-c', script], {
      encoding: 'utf8',
      env: { ...process.env, NODE: process.execPath, COMPILED: compiled, DATA: data },
      timeout: 90_000,
    })
    t.same(said.trim().split('\n'), [
      'before: nobody',
      'with: 192.0.2.1',
      'rules: 1',
      'with-state: table ip mine table ip drover-nat forwarding 1',
      'without-state: table ip mine forwarding 0',
      'after: nobody',
    ])
  },
)
