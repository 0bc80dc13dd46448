// Servers as Debian packages them, started by their own units.

import { imageTool } from './image-tool.ts'
import { row, type Workload } from './workload.ts'
import { workloadImage } from './workload-layer.ts'

const fromImage = { image: workloadImage, memoryBytes: 1024 << 20 }

export const nginx: Workload = {
  ...fromImage,
  row: row('nginx', 'nginx with four keep-alive connections'),
  async begin(container) {
    await container.booted()
    await container.sh(
      'echo "It runs." >/var/www/html/index.html && echo "keepalive_timeout 3600; keepalive_requests 1000000;" >/etc/nginx/conf.d/matrix.conf',
    )
    await container.sh(
      'grep -q keepalive_timeout /etc/nginx/nginx.conf && sed -i /keepalive_timeout/d /etc/nginx/nginx.conf; systemctl start nginx',
    )
    await container.until('nginx', ask)
  },
  outside: async ({ address }) => ['http', address, '80', 'keep'],
  inside: async (container) => void (await container.sh(ask)),
}

const ask =
  'python3 -c "import urllib.request; print(urllib.request.urlopen(\'http://127.0.0.1/\').read())" | grep -q runs'

const psql = (query: string) => `cd / && runuser -u postgres -- psql -qAt -v ON_ERROR_STOP=1 -c "${query}"`

export const postgresql: Workload = {
  ...fromImage,
  row: row('postgresql', 'PostgreSQL under pgbench (4 clients, 100 transactions a second), none of which may fail'),
  async begin(container) {
    await container.booted()
    await container.sh(`for directory in /etc/postgresql/*/main; do
        echo "listen_addresses = '*'" >$directory/conf.d/matrix.conf
        echo "host all all all trust" >>$directory/pg_hba.conf
      done
      systemctl start postgresql`)
    await container.until('PostgreSQL', psql('select 1'))
    await container.sh('cd / && runuser -u postgres -- pgbench -i -q -s 2 postgres')
    await container.sh(`${psql('select 0')} >/var/tmp/transactions`)
  },
  async outside(container) {
    const load = ['-c', '4', '-R', '100', '-T', '86400', '-P', '1']
    const command = `exec /usr/lib/postgresql/*/bin/pgbench -h ${container.address} -U postgres ${load.join(' ')} postgres`
    return ['pgbench', ...imageTool(container, '', ['sh', '-c', command])]
  },
  async inside(container) {
    const balances = await container.sh(
      psql(
        'select (select coalesce(sum(delta), 0) from pgbench_history), (select sum(abalance) from pgbench_accounts), (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers)',
      ),
    )
    if (new Set(balances.trim().split('|')).size !== 1) throw new Error(`the sums differ: ${balances}`)
    if (container.asked === 1) return
    const count = psql('select count(*) from pgbench_history')
    await container.until(
      'transactions',
      `n=$(${count}); test "$n" -gt "$(cat /var/tmp/transactions)" && echo "$n" >/var/tmp/transactions`,
    )
  },
  async end(container) {
    await container.sh(
      psql("create extension if not exists amcheck; select bt_index_check('pgbench_accounts_pkey', true)"),
    )
  },
}

export const redis: Workload = {
  ...fromImage,
  row: row('redis', 'Redis with a client blocked in BLPOP, and with append-only persistence, restarted at the end'),
  async begin(container) {
    await container.booted()
    await container.sh(`sed -i -e 's/^bind .*/bind 0.0.0.0/' -e 's/^protected-mode .*/protected-mode no/' -e 's/^appendonly .*/appendonly yes/' /etc/redis/redis.conf
      systemctl start redis-server`)
    await container.until('Redis', 'redis-cli ping | grep -q PONG')
    await container.sh(`redis-cli eval "for i=1,20000 do redis.call('set','key:'..i,i..string.rep('y',200)) end" 0`)
  },
  outside: async ({ address }) => ['blpop', address],
  async inside(container) {
    await container.until('the blocked client', 'redis-cli info clients | grep -q blocked_clients:1')
    await container.sh(`redis-cli rpush queue item-${container.asked} && redis-cli set asked ${container.asked}`)
    await container.sh('redis-cli get key:20000 | grep -q ^20000y')
  },
  async end(container) {
    await container.sh('systemctl restart redis-server')
    await container.until('Redis', 'redis-cli ping | grep -q PONG')
    await container.sh(`test "$(redis-cli get asked)" = ${container.asked} && test "$(redis-cli dbsize)" = 20001`)
  },
}
