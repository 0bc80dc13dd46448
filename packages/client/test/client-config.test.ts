// Where the client looks for the cluster, and what it says when the file is missing or broken.

import { clientConfigPaths, loadClientConfig } from '@drover/client'
import t from 'tap'

t.test('DROVER_CONFIG wins, then the user, then the machine', async (t) => {
  t.same(clientConfigPaths({ DROVER_CONFIG: '/x.json', HOME: '/home/u' }), ['/x.json'])
  t.same(clientConfigPaths({ HOME: '/home/u' }), ['/home/u/.config/drover/client.json', '/etc/drover/client.json'])
  t.equal(clientConfigPaths({ XDG_CONFIG_HOME: '/c' })[0], '/c/drover/client.json')
})

t.test('a good file is read', async (t) => {
  const config = { endpoints: ['http://127.0.0.1:7070'], secret: 's3cret' }
  const directory = t.testdir({ 'client.json': JSON.stringify(config) })
  t.same(await loadClientConfig({ DROVER_CONFIG: `${directory}/client.json` }), config)
})

t.test('none at all names every place that was looked at', async (t) => {
  const path = `${t.testdir({})}/none.json`
  await t.rejects(loadClientConfig({ DROVER_CONFIG: path }), { code: 'NOT_CONFIGURED', context: { paths: [path] } })
})

const broken: [string, string, RegExp][] = [
  ['not JSON', '{"secret":"hush"', /is not JSON/],
  ['no endpoints', '{"secret":"hush"}', /endpoints must be a list/],
  ['an endpoint that is no URL', '{"endpoints":["127.0.0.1:7070"],"secret":"hush"}', /127.0.0.1:7070" is not an http/],
  ['no secret', '{"endpoints":["http://a"]}', /secret must be a string/],
  ['null', 'null', /endpoints/],
]
for (const [what, content, message] of broken) {
  t.test(`a file with ${what} is refused by name, without its secret`, async (t) => {
    const path = `${t.testdir({ 'client.json': content })}/client.json`
    const error = await loadClientConfig({ DROVER_CONFIG: path }).catch((thrown) => thrown)
    t.match(error, { code: 'NOT_CONFIGURED', message })
    t.match(error.message, path)
    t.notMatch(error.message, 'hush')
  })
}
