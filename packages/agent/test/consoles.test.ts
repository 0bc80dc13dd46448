// One console for all who are attached to it, over an engine of a few lines: who sees what, who may type, and how it ends.

import { DroverError } from '@drover/protocol'
import t from 'tap'
import { Consoles } from '../src/console/consoles.ts'
import type { EnginePort } from '../src/engine-port.ts'

const size = { columns: 80, rows: 24 }

/** Its login echoes in capitals. */
function engine() {
  const made = {
    logins: 0,
    sizes: [] as string[],
    paused: false,
    log: 'from init\n',
    say: (_text: string) => {},
    end: (_outcome: number | DroverError) => {},
  }
  const port: EnginePort = {
    call: async (_method: string, params: unknown) => {
      const { offset, limit } = params as { offset: number; limit: number }
      const from = offset < 0 ? Math.max(0, made.log.length + offset) : offset
      const part = made.log.slice(from, from + limit)
      return {
        dataBase64: Buffer.from(part).toString('base64'),
        offset: from,
        nextOffset: from + part.length,
        size: made.log.length,
      } as never
    },
    exec: async (_params, handlers) => {
      made.logins++
      made.say = (text) => handlers?.onStdout?.(Buffer.from(text))
      const exit = new Promise<number>((resolve, reject) => {
        made.end = (outcome) => (typeof outcome === 'number' ? resolve(outcome) : reject(outcome))
      })
      exit.catch(() => {})
      return {
        exit,
        write: async (data) => made.say(Buffer.from(data).toString().toUpperCase()),
        end() {},
        resize: (columns, rows) => void made.sizes.push(`${columns}x${rows}`),
        signal() {},
        pause() {
          made.paused = true
        },
        resume() {
          made.paused = false
        },
        close() {},
      }
    },
  }
  return { made, consoles: new Consoles(port) }
}

function viewer() {
  const seen = { text: '' }
  const see = (data: Uint8Array) => {
    seen.text += Buffer.from(data).toString()
  }
  return { seen, see }
}

t.test('console: all who are attached see the same, whoever types; who comes later sees what was', async (t) => {
  const { made, consoles } = engine()
  const [first, second] = [viewer(), viewer()]
  const one = await consoles.attach('c1', size, first.see)
  t.equal(first.seen.text, 'from init\r\n', 'lines of the log as a terminal shows them')
  await one.write(Buffer.from('ls '))
  const two = await consoles.attach('c1', { columns: 100, rows: 30 }, second.see)
  t.equal(second.seen.text, 'from init\r\nLS ')
  await two.write(Buffer.from('-l'))
  t.ok(first.seen.text.endsWith('LS -L') && second.seen.text.endsWith('LS -L'))
  t.equal(made.logins, 1)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(made.sizes.at(-1), '100x30', 'its size is that of who came last')
})

t.test('console: detaching leaves the login as it is', async (t) => {
  const { made, consoles } = engine()
  const [first, second] = [viewer(), viewer()]
  const one = await consoles.attach('c1', size, first.see)
  one.close()
  made.say('said while nobody looked')
  await consoles.attach('c1', size, second.see)
  t.equal(made.logins, 1)
  t.match(second.seen.text, /said while nobody looked/)
  t.notMatch(first.seen.text, /said while/)
})

t.test('console: one who reads slowly misses output, and only when all do the login waits', async (t) => {
  const { made, consoles } = engine()
  const [slow, quick] = [viewer(), viewer()]
  const one = await consoles.attach('c1', size, slow.see)
  const two = await consoles.attach('c1', size, quick.see)
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  one.pause()
  await settled()
  t.notOk(made.paused)
  made.say('much')
  t.notMatch(slow.seen.text, /much/)
  t.match(quick.seen.text, /much/)
  two.pause()
  await settled()
  t.ok(made.paused)
  one.resume()
  await settled()
  t.notOk(made.paused)
})

t.test('console: a move ends it for all with its reason, and the next attachment begins anew', async (t) => {
  const { made, consoles } = engine()
  const both = await Promise.all([consoles.attach('c1', size, viewer().see), consoles.attach('c1', size, viewer().see)])
  made.end(new DroverError('CANCELLED', 'the container moves'))
  for (const { exit } of both) await t.rejects(exit, { code: 'CANCELLED' })
  await consoles.attach('c1', size, viewer().see)
  t.equal(made.logins, 2)
})

t.test('console: a login that ends at once is not begun over and over', async (t) => {
  const { made, consoles } = engine()
  const { exit } = await consoles.attach('c1', size, viewer().see)
  made.end(1)
  t.equal(await exit, 1)
  t.equal(made.logins, 1)
})

t.test('console: so many and no more', async (t) => {
  const { consoles } = engine()
  for (let each = 0; each < 16; each++) await consoles.attach('c1', size, viewer().see)
  await t.rejects(consoles.attach('c1', size, viewer().see), { code: 'LIMIT_REACHED', message: /16 are attached/ })
})
