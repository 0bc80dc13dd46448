// The web page's files: by their paths, and nothing else of the disk.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t from 'tap'
import { dashboardFiles } from '../src/shell/http/dashboard.ts'
import { apiFixture } from './support/api-fixture.ts'

t.test('files are served by their path, index.html as the root', async (t) => {
  const directory = temporaryDirectory(t, 'page')
  mkdirSync(join(directory, 'assets'))
  writeFileSync(join(directory, 'index.html'), '<p>hello')
  writeFileSync(join(directory, 'assets', 'page.js'), '1')
  const files = dashboardFiles(directory)
  t.strictSame([...files.keys()].sort(), ['/', '/assets/page.js', '/index.html'])
  t.match(files.get('/'), { type: /^text\/html/ })
  t.match(files.get('/assets/page.js'), { type: /^text\/javascript/ })
  t.equal(dashboardFiles(join(directory, 'missing')).size, 0)
})

t.test('no path leads out of the folder', async (t) => {
  const { api } = await apiFixture(t)
  for (const url of ['/../package.json', '/..%2fpackage.json', '/%2e%2e/package.json', '/etc/passwd', '//etc/passwd']) {
    const response = await api.inject({ url })
    t.equal(response.statusCode, 404, url)
    t.match(response.json(), { error: { code: 'ROUTE_NOT_FOUND' } })
  }
})
