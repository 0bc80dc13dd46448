// Capabilities, nesting and privilege at the command line: what is sent, what is warned of, and what info shows.

import t from 'tap'
import { fakeCluster } from './fake-cluster.ts'
import { container } from './resources.ts'

t.test('launch sends capabilities, nesting and privilege, and warns of the last', async (t) => {
  const cluster = await fakeCluster(t)
  const plain = await cluster.drover([
    'launch',
    'ci',
    '--nesting',
    '--cap-add',
    'sys_time',
    '--cap-drop',
    'NET_RAW,CAP_MKNOD',
  ])
  const security = { nesting: true, addCapabilities: ['SYS_TIME'], dropCapabilities: ['NET_RAW', 'MKNOD'] }
  t.same(cluster.writes[0], ['POST', '/v1/containers', { name: 'ci', security }])
  t.notMatch(plain.stderr, /WARNING/)
  const given = await cluster.drover(['launch', 'root', '--privileged', '--set', 'security.nesting=true'])
  t.same(cluster.writes[1], ['POST', '/v1/containers', { name: 'root', security: { nesting: true, privileged: true } }])
  t.match(given.stderr, /WARNING: root: privileged.*root of the host/)
  t.match(await cluster.drover(['launch', 'x', '--cap-add', 'ALL']), { exitCode: 2, stderr: /"ALL" is no capability/ })
})

t.test('info says what is not usual, and privilege loudly', async (t) => {
  const cluster = await fakeCluster(t)
  const [usual] = cluster.containers
  t.notMatch((await cluster.drover(['info', usual!.name])).stdout, /security/)
  const spec = { ...usual!.spec, security: { privileged: true, nesting: true, dropCapabilities: ['NET_RAW'] } }
  cluster.containers[0] = container(usual!.name, { spec })
  const { stdout } = await cluster.drover(['info', usual!.name])
  t.match(stdout, /security +PRIVILEGED: root inside is root of the host · nesting · without NET_RAW/)
  t.match(stdout, /uids +the host’s own/)
})

t.test('project set --no-privileged', async (t) => {
  const cluster = await fakeCluster(t)
  await cluster.drover(['project', 'set', 'blue', '--containers', '5', '--no-privileged'])
  t.same(cluster.writes[0]?.at(2), { projects: { blue: { containers: 5, privileged: false } } })
})
