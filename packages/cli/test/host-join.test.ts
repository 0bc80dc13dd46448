// Hosts that join by a token, with the real daemons on addresses of the loopback network: a first node, and two that come to it.

import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DroverClient } from '@drover/client'
import { DroverError, decodeJoinToken, encodeJoinToken, protocolVersion } from '@drover/protocol'
import t from 'tap'
import { bringDown, bringUp, findNatsServer, waitUntil } from '../src/daemons/index.ts'

const deadlineMs = 90_000
/** Of 127/8, so that what else listens on this machine, other runs of this test too, is not in the way. */
const network = `127.${64 + (process.pid % 128)}.${1 + ((process.pid >> 7) % 250)}`
const addressOf = (node: number) => `${network}.${node}`

if (findNatsServer() === null) t.pass('left out', { skip: 'there is no nats-server' })
else await story()

async function story(): Promise<void> {
  // Short: sockets are in it.
  const directory = mkdtempSync(join(tmpdir(), 'drj-'))
  const dataOf = (name: string) => join(directory, name)
  const base = (name: string) => ({
    data: dataOf(name),
    engine: 'simulated' as const,
    clientFile: join(directory, `${name}-client.json`),
    onProgress: () => {},
  })
  const up = (name: string, node: number, token: string | null = null) =>
    bringUp({ ...base(name), address: addressOf(node), join: token })
  t.teardown(async () => {
    for (const name of ['second', 'third', 'first']) await bringDown(dataOf(name), () => {})
    rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
  })
  const refusal = (doing: Promise<unknown>) =>
    doing.then(
      () => 'taken',
      (error) => DroverError.from(error),
    )

  const first = await up('first', 1)
  const client = new DroverClient({ endpoints: [first.endpoint], secret: first.settings.secret })
  const tokens = async () => (await client.hostTokens()).map(({ host, state }) => `${host} ${state}`)

  await t.test('by its token a host joins, with a certificate for its address, and takes containers', async (t) => {
    const made = await client.makeHostToken('second')
    const listed = await client.hostTokens()
    t.match(listed, [{ host: 'second', state: 'open', usedBy: null }])
    t.notOk(JSON.stringify(listed).includes(decodeJoinToken(made.token).secret), 'the secret is listed nowhere')
    const node = await up('second', 2, made.token)
    t.match(node.settings, { host: 'second', address: addressOf(2), cluster: first.settings.cluster })
    t.strictSame(
      node.daemons.map(({ kind }) => kind),
      ['engine', 'agent'],
    )
    t.match(await client.hostTokens(), [{ host: 'second', state: 'used', usedBy: addressOf(2) }])
    const image = await client.buildImage({ recipe: 'busybox', name: 'busybox', host: 'second' })
    t.equal((await client.waitOperation(image.id)).state, 'done')
    const launch = await client.launch({ name: 'web', image: 'busybox', host: 'second' })
    t.equal((await client.waitOperation(launch.id)).state, 'done')
    t.equal((await client.container('web')).host, 'second')
  })

  await t.test('it moves live between the two, over their certificates', async (t) => {
    const move = await client.waitOperation((await client.move('web', { host: first.settings.host })).id)
    t.equal(move.state, 'done', JSON.stringify(move.error))
    t.match(await client.container('web'), { host: first.settings.host, state: 'running' })
    const back = await client.waitOperation((await client.move('web', { host: 'second' })).id)
    t.equal(back.state, 'done', JSON.stringify(back.error))
  })

  await t.test('up again, after down: it needs no token any more', async (t) => {
    await bringDown(dataOf('second'), () => {})
    const again = await bringUp(base('second'))
    t.equal(again.settings.host, 'second')
    await waitUntil(
      'its container to be seen',
      deadlineMs,
      async () => (await client.container('web')).state === 'running',
    )
  })

  await t.test('a token is good once, for one name, until it expires or is taken back', async (t) => {
    const made = await client.makeHostToken('third')
    t.match(await refusal(up('second', 2, made.token)), { code: 'WRONG_STATE', message: /has host second/ })
    const token = decodeJoinToken(made.token)
    const refused = async (change: object, message: RegExp, code = 'TOKEN_REFUSED') =>
      t.match(await refusal(up('third', 3, encodeJoinToken({ ...token, ...change }))), { code, message })
    await refused({ secret: 'x'.repeat(32) }, /not known/)
    await refused({ fingerprint: '0'.repeat(64) }, /shows another authority/)
    t.match(await refusal(up('third', 3, made.token.slice(0, -9))), { code: 'BAD_REQUEST', message: /cut off/ })
    t.match(await refusal(up('third', 2, made.token)), { code: 'NAME_TAKEN', message: /is that of host second/ })
    await client.revokeHostToken('third')
    await refused({}, /not known/)

    const short = await client.makeHostToken('third', { lifeMs: 1_000 })
    await waitUntil('the token to expire', deadlineMs, async () => (await tokens()).includes('third expired'))
    t.match(await refusal(up('third', 3, short.token)), { code: 'TOKEN_REFUSED', message: /expired/ })

    const older = await client.makeHostToken('third')
    const newer = await client.makeHostToken('third')
    t.match(await refusal(up('third', 3, older.token)), { code: 'TOKEN_REFUSED', message: /replaced/ })
    await up('third', 3, newer.token)
    t.match(await refusal(up('fourth', 4, newer.token)), { code: 'TOKEN_REFUSED', message: /used before, from/ })
    t.same((await client.hosts()).map(({ name }) => name).sort(), [first.settings.host, 'second', 'third'].sort())
  })

  await t.test('names and requests that can’t be are refused, by what they are', async (t) => {
    t.match(await refusal(client.makeHostToken('second')), { code: 'NAME_TAKEN' })
    t.match(await refusal(client.makeHostToken('nobody', { again: true })), { code: 'HOST_NOT_FOUND' })
    t.match(await refusal(client.makeHostToken('no name')), { code: 'BAD_REQUEST' })
    t.match(await refusal(client.revokeHostToken('nobody')), { code: 'TOKEN_REFUSED' })
    const { token: good } = await client.makeHostToken('fifth')
    const nowhere = encodeJoinToken({ ...decodeJoinToken(good), controllers: [] })
    t.match(await refusal(up('fifth', 5, nowhere)), { code: 'BAD_REQUEST' })
    const deaf = encodeJoinToken({ ...decodeJoinToken(good), controllers: [`${addressOf(9)}:7075`] })
    t.match(await refusal(up('fifth', 5, deaf)), {
      code: 'API_UNREACHABLE',
      message: /no controller takes this host in/,
    })
    const ask = (body: object) => answerOf(`https://${addressOf(1)}:7075/v1/join`, body)
    t.match(await ask({ host: 'fifth' }), { error: { code: 'BAD_REQUEST' } })
    const secret = decodeJoinToken(good).secret
    const asked = { host: 'fifth', secret, address: addressOf(5), certificateRequest: 'none', version: '99.0.0' }
    t.match(await ask({ ...asked, protocolVersion: 99 }), { error: { code: 'VERSION_MISMATCH', message: /99\.0\.0/ } })
    t.match(await ask({ ...asked, protocolVersion }), { error: { code: 'BAD_REQUEST', message: /openssl says/ } })
    t.ok((await tokens()).includes('fifth open'), 'a request that can’t be signed doesn’t spend the token')
  })

  await t.test('a host is removed once it is empty, and what it says later is not heard', async (t) => {
    t.match(await refusal(client.removeHost('second')), { code: 'WRONG_STATE', message: /web is there; say drover/ })
    const moved = await client.waitOperation((await client.move('web', { host: first.settings.host })).id)
    t.equal(moved.state, 'done', JSON.stringify(moved.error))
    await client.removeHost('second')
    t.notOk((await client.hosts()).some(({ name }) => name === 'second'))
    t.match(await refusal(client.removeHost('second')), { code: 'HOST_NOT_FOUND' })
    t.match(await refusal(bringUp(base('second'))), { code: 'WRONG_STATE', message: /was removed/ })
    const { token } = await client.makeHostToken('second')
    await up('second', 2, token)
    t.ok(
      (await client.hosts()).some(({ name }) => name === 'second'),
      'by a new token it is back',
    )
  })
}

/** What a controller says to a request that no host would make. */
function answerOf(url: string, body: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'POST', rejectUnauthorized: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())))
    })
    asked.on('error', reject)
    asked.end(JSON.stringify(body))
  })
}
