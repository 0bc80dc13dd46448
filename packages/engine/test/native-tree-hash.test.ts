// One number for a layer: the same for two trees that tar would make of each other, another one for whatever differs, and found again for
// what has changed as if all were looked at anew.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { leftOfDisk, whyNoCutDisk } from '@drover/testkit/cut-disk'
import t, { type Test } from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const all = 1 << 28
let stage: OneHost

const fill = `mkdir -p d/e many && echo one > d/one && echo two > d/two && ln d/one d/first && ln -s one d/link && mkfifo pipe && mknod gone c 0 0 &&
  chown 7:8 d/two && chmod 4750 d/two && truncate -s 9000000 sparse && printf x | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none &&
  head -c 300000 /dev/zero > zeros && head -c 700000 /dev/urandom > noise && touch $(printf 'n\\377me') "sp ace" &&
  for n in a a-b a.c; do mkdir -p many/$n && echo $n > many/$n/f; done && find . -exec touch -h -d @1700000000.123456789 {} +`

/** Without extra packages: perl is in every Debian; 188 and 5 are setxattr(2). */
const setAttribute = (path: string, name: string) =>
  `perl -e 'exit(syscall(${process.arch === 'arm64' ? 5 : 188}, $ARGV[0], $ARGV[1], $ARGV[2], 1, 0) == 0 ? 0 : 1)' ${path} ${name} x`

/** As above; 191 and 8 are getxattr(2). */
const getAttribute = (path: string, name: string) =>
  `perl -e 'exit(syscall(${process.arch === 'arm64' ? 8 : 191}, $ARGV[0], $ARGV[1], my $value = "", 0) >= 0 ? 0 : 1)' ${path} ${name}`

interface Entry {
  kind: string
  otherNames: number
  facts: string
  attributes: string
  content: string
  pieces: string[]
}

/** As packages/agent/src/migration/tree-index.ts reads it. */
function entriesIn(index: Buffer): Map<string, Entry> {
  const entries = new Map<string, Entry>()
  for (let at = 4; at < index.length; ) {
    const name = at + 66
    const pieces = name + index.readUInt32LE(at)
    const end = pieces + 16 * index.readUInt32LE(at + 4)
    const hex = (from: number) => index.toString('hex', from, from + 16)
    entries.set(index.toString('latin1', name, pieces), {
      kind: String.fromCharCode(index[at + 64] as number),
      otherNames: index[at + 65] as number,
      facts: hex(at + 16),
      attributes: hex(at + 32),
      content: hex(at + 48),
      pieces: Array.from({ length: (end - pieces) / 16 }, (_, piece) => hex(pieces + 16 * piece)),
    })
    at = end
  }
  return entries
}

const sh = (upper: string, script: string) => execFileSync('sh', ['-ec', script], { cwd: upper })

async function layer(test: Test, serial: number): Promise<{ container: string; upper: string }> {
  const spec = stage.spec(serial)
  const { upper } = await stage.client.call('create', { spec })
  test.teardown(() => stage.client.call('delete', { container: spec.container, epoch: 1 }))
  return { container: spec.container, upper }
}

/** Of all of it, or, with paths, of them again. */
async function hash(container: string, changed: string[] | null = null, mostBytes = all): Promise<string> {
  let answer = await stage.client.call('hashTree', { container, epoch: 1, changed, mostBytes })
  for (let calls = 0; answer.hash === null; calls++) {
    if (calls > 100) throw new Error(`${answer.leftBytes} bytes stay unread`)
    answer = await stage.client.call('hashTree', { container, epoch: 1, changed: [], mostBytes })
  }
  return answer.hash
}

t.test('the hash of a layer', { skip: reasonToSkip }, async (t) => {
  stage = await OneHost.make('tree', 74)
  t.teardown(() => stage.network.close())
  const first = await layer(t, 1)
  const second = await layer(t, 2)
  sh(first.upper, fill)
  execFileSync('sh', [
    '-c',
    `tar -C ${first.upper} --sparse --format=posix -c . | tar -C ${second.upper} --same-owner -xp`,
  ])
  const whole = await hash(first.container)

  await t.test('a copy by tar has the same, however much is read at a time', async (t) => {
    t.match(whole, /^[0-9a-f]{32}$/)
    t.equal(await hash(second.container), whole)
    t.equal(await hash(second.container, null, 100_000), whole)
    sh(second.upper, 'head -c 9000000 sparse > dense && touch -r sparse dense . && mv dense sparse && touch -r d .')
    t.equal(await hash(second.container), whole, 'a hole is as good as zeros')
  })

  const changes: [string, string, string[]][] = [
    ['a byte', 'printf y | dd of=noise bs=1 seek=650001 conv=notrunc status=none; touch -r d noise', ['noise']],
    [
      'a byte far in a sparse file',
      'printf y | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none; touch -r d sparse',
      ['sparse'],
    ],
    ['a nanosecond', 'touch -d @1700000000.123456788 d/one', ['d/one', 'd/first']],
    ['a mode', 'chmod 750 d/two', ['d/two']],
    ['an owner', 'chown 7:9 d/two; chmod 4750 d/two', ['d/two']],
    ['an extended attribute', setAttribute('noise', 'user.note'), ['noise']],
    ['a link of another file', 'rm d/first; cp -p d/one d/first; touch -r noise d', ['d', 'd/one', 'd/first']],
    ['where a link leads', 'rm d/link; ln -s two d/link; touch -h -d @1700000000.123456789 d/link d', ['d/link']],
    ['a device', 'rm gone; mknod gone c 0 1; touch -d @1700000000.123456789 gone .', ['gone']],
    ['a kind', 'rm pipe; touch pipe; touch -d @1700000000.123456789 pipe .', ['pipe']],
    ['a name', 'mv many/a-b many/a-c; touch -d @1700000000.123456789 many', ['many']],
    ['a file more', 'touch -d @1700000000.123456789 many/a/g many/a', ['many/a']],
    ['a tree less', 'rm -r many/a; touch -d @1700000000.123456789 many', ['many']],
  ]
  for (const [what, script, changed] of changes) {
    await t.test(`${what} makes another one, and only what changed is looked at`, async (t) => {
      const before = await hash(first.container)
      sh(first.upper, script)
      const after = await hash(first.container, changed)
      t.not(after, before)
      t.equal(await hash(first.container), after)
    })
  }

  await t.test('overlayfs notes are not part of it', async (t) => {
    const before = await hash(first.container)
    sh(first.upper, setAttribute('.', 'trusted.overlay.origin'))
    t.equal(await hash(first.container), before)
  })

  await t.test('a link out of the layer is not followed', async (t) => {
    const outside = join(t.testdir(), 'outside')
    mkdirSync(outside)
    sh(second.upper, `rm -r many && ln -s ${outside} many && touch -d @1700000000.123456789 .`)
    const before = await hash(second.container, ['.', 'many', 'many/a'])
    writeFileSync(join(outside, 'a'), 'x')
    t.equal(await hash(second.container, ['many/a']), before)
  })

  await t.test('the index says of each entry what it is, and of a larger file each piece', async (t) => {
    const { container, upper } = await layer(t, 4)
    sh(upper, fill)
    const index = async () => {
      const file = join(t.testdir(), 'index')
      const asked = { container, epoch: 1, mostBytes: all, index: file }
      t.match(await stage.client.call('hashTree', { ...asked, changed: null }), { hash: /^[0-9a-f]{32}$/ })
      return entriesIn(readFileSync(file))
    }
    const before = await index()
    t.same(Object.fromEntries(['.', 'noise', 'pipe', 'd/one'].map((path) => [path, before.get(path)?.kind])), {
      '.': 'd',
      noise: 'f',
      pipe: 'o',
      'd/one': 'f',
    })
    t.ok(before.has('n\xffme'), 'names are bytes')
    t.equal(before.get('noise')?.pieces.length, 11)
    t.equal(before.get('d/one')?.otherNames, 1)
    const zero = '0'.repeat(32)
    t.ok(before.get('zeros')?.pieces.every((piece) => piece === zero))
    const inSparse = before.get('sparse')?.pieces ?? []
    t.same([inSparse.length, inSparse.findIndex((piece) => piece !== zero)], [138, 76], 'data in a hole')
    sh(upper, 'printf y | dd of=noise bs=1 seek=650001 conv=notrunc status=none; touch -r d noise')
    const after = await index()
    const changed = after
      .get('noise')
      ?.pieces.flatMap((piece, at) => (piece === before.get('noise')?.pieces[at] ? [] : [at]))
    t.same(changed, [9])
    t.equal(after.get('noise')?.attributes, before.get('noise')?.attributes)
    t.equal(after.get('noise')?.facts, before.get('noise')?.facts, 'its times say nothing')
    t.not(after.get('noise')?.content, before.get('noise')?.content)
    sh(upper, 'chmod 4755 noise')
    t.same((await index()).get('noise')?.pieces, [], 'a write would take its set-user-id bit')
  })

  await t.test('what is known of a few files comes alone, after they were given their times', async (t) => {
    const { container, upper } = await layer(t, 10)
    sh(upper, fill)
    await hash(container)
    const file = join(t.testdir(), 'details')
    const asked = { container, epoch: 1, mostBytes: all, details: file }
    sh(upper, 'printf y | dd of=noise bs=1 seek=650001 conv=notrunc status=none')
    const times = [{ path: 'n\xffme', seconds: 1_600_000_000, nanoseconds: 123_456_789 }]
    const about = { ...asked, changed: ['noise', 'n\xffme', 'none', 'd'], times }
    const answer = await stage.client.call('hashTree', about)
    const details = entriesIn(readFileSync(file))
    t.same([...details.keys()], ['d', 'noise', 'n\xffme'])
    t.equal(details.get('noise')?.pieces.length, 11)
    t.equal(sh(upper, `stat -c %.9Y "$(printf 'n\\377me')"`).toString(), '1600000000.123456789\n')
    t.equal(answer.hash, await hash(container), 'the number of the whole has them')
    // Read in several calls, all of it comes with the last.
    await hash(container)
    let later = await stage.client.call('hashTree', { ...asked, changed: ['noise'], mostBytes: 1000 })
    t.equal(later.hash, null)
    while (later.hash === null) later = await stage.client.call('hashTree', { ...asked, changed: [] })
    t.strictSame(entriesIn(readFileSync(file)).get('noise'), details.get('noise'))
    sh(upper, 'mkdir out && rmdir out && ln -s /etc out')
    const outside = [{ path: 'out/hostname', seconds: 1, nanoseconds: 0 }]
    await t.rejects(stage.client.call('hashTree', { ...asked, changed: ['out'], times: outside }))
    t.not(sh('/etc', 'stat -c %Y hostname').toString(), '1\n', 'nothing outside is touched')
  })

  await t.test('a small layer goes as one piece, and is the same when it is made again', async (t) => {
    const from = await layer(t, 7)
    const to = await layer(t, 8)
    const file = join(t.testdir(), 'layer')
    sh(from.upper, `${fill}; rm noise; truncate -s 600000 sparse; ${setAttribute('d/one', 'user.note')}`)
    sh(from.upper, setAttribute('.', 'trusted.overlay.origin'))
    sh(from.upper, `perl -MSocket -e 'socket(S, 1, 1, 0); bind(S, pack_sockaddr_un("d/sock"))'; chmod 711 d/sock`)
    // A file that must come out as it went in, wherever its zeros lie, and directories that let nobody write.
    sh(from.upper, 'dd if=/dev/urandom of=sparse bs=4096 seek=100 count=1 conv=notrunc status=none; ln sparse other')
    sh(from.upper, 'chmod 2500 many; chmod 1777 d; find . -exec touch -h -d @1700000000.123456789 {} +')
    const about = { epoch: 1, changed: null, mostBytes: all }
    const packed = await stage.client.call('hashTree', { container: from.container, ...about, pack: file })
    t.match(packed, { packed: true, hash: await hash(from.container) })
    const unpacked = await stage.client.call('hashTree', { container: to.container, ...about, unpack: file })
    t.equal(unpacked.hash, packed.hash)
    t.equal(unpacked.entries, packed.entries)
    const sparse = (upper: string) => Number(sh(upper, 'stat -c %b sparse').toString())
    t.ok(sparse(to.upper) <= 16 && sparse(from.upper) <= 16, 'holes are holes')
    t.ok(Number(sh(to.upper, 'stat -c %b zeros').toString()) >= 584, 'and zeros are zeros')
    t.equal(sh(to.upper, 'stat -c "%F %a" d/sock').toString(), 'socket 711\n')
    t.throws(() => sh(to.upper, getAttribute('.', 'trusted.overlay.origin')), 'notes of the other host stay there')

    const third = await layer(t, 9)
    const unpack = (data: Buffer) => {
      writeFileSync(file, data)
      return stage.client.call('hashTree', { container: third.container, ...about, unpack: file })
    }
    const data = readFileSync(file)
    for (const cut of [0, 7, 50, data.length - 1])
      await t.rejects(unpack(data.subarray(0, cut)), { code: 'TRANSFER_FAILED' }, `cut off after ${cut} bytes`)
    const outside = Buffer.from(data.toString('latin1').replace('d/two', '../up'), 'latin1')
    await t.rejects(unpack(outside), { code: 'TRANSFER_FAILED' }, 'nothing is made outside')
    t.same(readdirSync(third.upper), [], 'and of what is damaged nothing at all')
    sh(from.upper, 'head -c 2000000 /dev/urandom > noise')
    const again = await stage.client.call('hashTree', {
      container: from.container,
      ...about,
      pack: join(file, '..', 'none'),
    })
    t.equal(again.packed, false, 'too much is left to tar')
    t.match(again.hash, /^[0-9a-f]{32}$/)
    t.equal(existsSync(join(file, '..', 'none')), false)
  })

  await t.test(
    'a layer is kept when its container goes, without overlayfs notes, but not on another file system',
    async (t) => {
      const spec = stage.spec(5)
      const { upper } = await stage.client.call('create', { spec })
      sh(upper, `${fill}; ${setAttribute('.', 'trusted.overlay.origin')}`)
      const keep = join(dirname(dirname(upper)), '.kept')
      await stage.client.call('delete', { container: spec.container, epoch: 1, keep })
      t.teardown(() => rmSync(keep, { recursive: true, force: true }))
      t.equal(existsSync(dirname(upper)), false)
      t.equal(readFileSync(join(keep, 'd', 'one'), 'utf8'), 'one\n')
      t.throws(() => sh(keep, getAttribute('.', 'trusted.overlay.origin')))
      const next = stage.spec(6)
      const made = await stage.client.call('create', { spec: next })
      await stage.client.call('delete', { container: next.container, epoch: 1, keep: '/proc/kept' })
      t.equal(existsSync(dirname(made.upper)), false)
    },
  )

  await t.test('what was not begun, or was given up, is refused', async (t) => {
    const third = await layer(t, 3)
    await t.rejects(hash(third.container, []), { code: 'WRONG_STATE' })
    await hash(third.container)
    await stage.client.call('hashTree', { container: third.container, epoch: 1, changed: null, mostBytes: 0 })
    await t.rejects(hash(third.container, []), { code: 'WRONG_STATE' })
  })
})

t.test('a layer that was made again survives a power cut', { skip: reasonToSkip || whyNoCutDisk() }, async (t) => {
  stage = await OneHost.make('cut', 74, undefined, {}, 'ext4')
  t.teardown(() => stage.network.close())
  const [from, to] = [await layer(t, 1), await layer(t, 2)]
  const file = join(t.testdir(), 'layer')
  sh(from.upper, 'mkdir d; for n in $(seq 100); do seq $n 999 > d/$n; done; chown 7:8 d/9; chmod 640 d/9')
  const about = { epoch: 1, changed: null, mostBytes: all }
  t.match(await stage.client.call('hashTree', { container: from.container, ...about, pack: file }), { packed: true })
  t.match(await stage.client.call('hashTree', { container: to.container, ...about, unpack: file }), { synced: true })
  const { stateDirectory } = stage.host
  const left = join(
    leftOfDisk(t, `${stateDirectory}.ext4`, join(t.testdir(), 'left')),
    relative(stateDirectory, to.upper),
  )
  t.equal(sh(left, 'stat -c "%u %g %a" d/9').toString(), '7 8 640\n')
  for (const name of readdirSync(join(from.upper, 'd')))
    t.ok(readFileSync(join(left, 'd', name)).equals(readFileSync(join(from.upper, 'd', name))), name)
})
