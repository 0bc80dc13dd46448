// `drover file` against a container whose files are in memory: trees both ways, owners, stdin, an editor, and a hostile tree.

import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { temporaryDirectory } from '@drover/testkit/temporary'
import t, { type Test } from 'tap'
import { fakeCluster } from './fake-cluster.ts'

interface Node {
  type: string
  mode: number
  uid: number
  gid: number
  target: string | null
  data: Buffer
}

interface Asked {
  path: string
  mode: number | null
  uid: number | null
  gid: number | null
  type?: string
  target?: string | null
  offset: number
  limit: number
  dataBase64: string
}

const node = (type: string, changes: Partial<Node> = {}): Node => ({
  type,
  mode: 0o644,
  uid: 0,
  gid: 0,
  target: null,
  data: Buffer.alloc(0),
  ...changes,
})

async function inside(t: Test) {
  const cluster = await fakeCluster(t)
  const nodes = new Map<string, Node>([
    ['/', node('directory')],
    ['/root', node('directory', { mode: 0o750 })],
  ])
  const shown = (found: Node) => {
    const { data, ...rest } = found
    return { ...rest, sizeBytes: data.length, modifiedAtMs: 0 }
  }
  const answer = (method: string, body: Asked): unknown => {
    const found = nodes.get(posix.normalize(body.path).replace(/(.)\/$/, '$1'))
    const missing = { status: 404, code: 'FILE_NOT_FOUND', message: `no ${body.path}` }
    if (method === 'fileMake' || (method === 'fileWrite' && !found)) {
      const { mode, uid, gid, type = 'file', target = null } = body
      nodes.set(posix.normalize(body.path), node(type, { mode: mode ?? 0o644, uid: uid ?? 0, gid: gid ?? 0, target }))
      return method === 'fileMake' ? shown(nodes.get(posix.normalize(body.path)) as Node) : answer(method, body)
    }
    if (!found) return missing
    if (method === 'fileStat') return shown(found)
    if (method === 'fileRead') {
      const part = found.data.subarray(body.offset, body.offset + body.limit)
      return { dataBase64: part.toString('base64'), sizeBytes: found.data.length }
    }
    if (method === 'fileWrite') {
      found.data = Buffer.concat([found.data.subarray(0, body.offset), Buffer.from(body.dataBase64, 'base64')])
      return shown(found)
    }
    const prefix = posix.join(body.path, '/')
    const names = [...nodes.keys()].filter((path) => path !== prefix && path.startsWith(prefix))
    const entries = names.map((path) => ({ name: path.slice(prefix.length), ...shown(nodes.get(path) as Node) }))
    return { entries: entries.filter(({ name }) => !name.includes('/') || name.includes('..')), next: null }
  }
  cluster.onWrite = (_method, path, body) => answer(path.split('/').at(-1) ?? '', body as Asked) as never
  const directory = temporaryDirectory(t, 'file')
  return { nodes, drover: cluster.drover, directory }
}

t.test('push: a file into a directory, with owner and mode; a tree; stdin', async (t) => {
  const { nodes, drover, directory } = await inside(t)
  const big = Buffer.alloc((512 << 10) + 7, 'ab')
  mkdirSync(join(directory, 'site/img'), { recursive: true })
  writeFileSync(join(directory, 'site/index'), big, { mode: 0o640 })
  symlinkSync('../index', join(directory, 'site/img/link'))
  const file = await drover(['file', 'push', join(directory, 'site/index'), 'web-1:/root', '-u', '33:44', '-m', '600'])
  t.equal(file.exitCode, 0, file.stderr)
  t.match(nodes.get('/root/index'), { uid: 33, gid: 44, mode: 0o600 })
  t.ok(nodes.get('/root/index')?.data.equals(big), 'in pieces')
  const refused = await drover(['file', 'push', join(directory, 'site'), 'web-1:/root'])
  t.equal(refused.exitCode, 2)
  const tree = await drover(['file', 'push', '-r', join(directory, 'site'), 'web-1:/root/', '--json'])
  t.same(tree.json(), { files: 1, bytes: big.length })
  t.match(nodes.get('/root/site/img'), { type: 'directory' })
  t.match(nodes.get('/root/site/img/link'), { type: 'symlink', target: '../index' })
  t.match(nodes.get('/root/site/index'), { mode: 0o640 })
  await drover(['file', 'push', '-', 'web-1:/root/stamp'], { stdin: 'now' })
  t.equal(nodes.get('/root/stamp')?.data.toString(), 'now')
})

t.test('pull: to stdout, into a directory, a tree; nothing is written through a link that the tree has', async (t) => {
  const { nodes, drover, directory } = await inside(t)
  nodes.set('/root/a', node('file', { data: Buffer.from('hello'), mode: 0o4755 }))
  nodes.set('/root/d', node('directory', { mode: 0o755 }))
  nodes.set('/root/d/b', node('file', { data: Buffer.from('b') }))
  nodes.set('/root/pipe', node('fifo'))
  nodes.set('/root/../../evil', node('file', { data: Buffer.from('evil') }))
  t.equal((await drover(['file', 'pull', 'web-1:/root/a', '-'])).stdout, 'hello')
  // An earlier pull of this tree, when d was a link.
  mkdirSync(join(directory, 'out/root'), { recursive: true })
  mkdirSync(join(directory, 'elsewhere'))
  symlinkSync(join(directory, 'elsewhere'), join(directory, 'out/root/d'))
  const pulled = await drover(['file', 'pull', '-r', 'web-1:/root', join(directory, 'out')])
  t.equal(pulled.exitCode, 0, pulled.stderr)
  t.match(pulled.stderr, /left out \/root\/pipe/)
  t.equal(lstatSync(join(directory, 'out/root/a')).mode & 0o7777, 0o755, 'no set-user-id bit')
  t.equal(readFileSync(join(directory, 'out/root/d/b'), 'utf8'), 'b')
  t.notOk(existsSync(join(directory, 'elsewhere/b')))
  t.notOk(existsSync(join(directory, 'evil')))
  nodes.set('/root/l', node('symlink', { target: '/etc/passwd' }))
  await drover(['file', 'pull', '-r', 'web-1:/root', join(directory, 'again')])
  t.equal(readlinkSync(join(directory, 'again/l')), '/etc/passwd')
  t.match(await drover(['file', 'pull', 'web-1:/nothing', directory]), { exitCode: 1, stderr: /nothing is there/ })
})

t.test('ls: modes, owners and links; a name cannot play with the terminal', async (t) => {
  const { nodes, drover } = await inside(t)
  nodes.set('/root/suid', node('file', { mode: 0o4755, uid: 5 }))
  nodes.set('/root/\x1b[31mred', node('symlink', { target: 'x', mode: 0o777 }))
  const { stdout } = await drover(['file', 'ls', 'web-1:/root'])
  t.match(stdout, /-rwsr-xr-x +5/)
  t.notMatch(stdout, '\x1b')
  t.match((await drover(['file', 'ls', 'web-1:/root', '--json'])).json(), [{ name: 'suid' }, { type: 'symlink' }])
  t.equal((await drover(['file', 'ls', 'web-1'])).exitCode, 2)
})

t.test('edit: writes back what the editor changed, and nothing else', async (t) => {
  const { nodes, drover } = await inside(t)
  nodes.set('/root/a', node('file', { data: Buffer.from('one\n'), mode: 0o600, uid: 7 }))
  const edit = (editor: string) =>
    drover(['file', 'edit', 'web-1:/root/a'], { environment: { EDITOR: editor, PATH: process.env.PATH } })
  t.match((await edit('true')).stdout, 'unchanged')
  t.match((await edit('sh -c \'echo two >> "$1"\' sh')).stdout, 'wrote 8 bytes')
  t.match(nodes.get('/root/a'), { uid: 7, mode: 0o600 })
  t.equal(nodes.get('/root/a')?.data.toString(), 'one\ntwo\n')
  t.equal((await edit('false')).exitCode, 2)
})
