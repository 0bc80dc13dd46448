// The page's pure parts, which are plain modules: figures, the search and the event parser.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { publicDirectory } from '../src/index.ts'
import { container } from './fake-api.ts'

const load = (name: string) => import(pathToFileURL(join(publicDirectory, name)).href)
const { bytes, cores, duration, matches, share, shortTime, tone } = await load('format.js')
const { EventParser } = await load('event-parser.js')

t.test('bytes, cores and durations read well', async (t) => {
  t.same([0, 1023, 1024, 67108864, 1.5 * 2 ** 30].map(bytes), ['0 B', '1023 B', '1 KiB', '64 MiB', '1.5 GiB'])
  t.same([0, 1500, 4000].map(cores), ['0', '1.5', '4'])
  t.same([0, 999, 61_000, 3_600_000, 5_460_000, 93_784_000].map(duration), [
    '0 s',
    '0 s',
    '1 min',
    '1 h',
    '1 h 31 min',
    '1 d 2 h',
  ])
  t.same([0.4, 84.4, 999, 1500, 9_940, 61_000].map(shortTime), ['0 ms', '84 ms', '999 ms', '1.5 s', '9.9 s', '1 min'])
})

t.test('a share stays between nothing and all', async (t) => {
  t.same([share(1, 2), share(3, 2), share(-1, 2), share(1, 0)], [0.5, 1, 0, 0])
})

t.test('a state that is not known has no tone', async (t) => {
  t.same(['running', 'failed', 'constructor', 'new'].map(tone), ['good', 'bad', 'plain', 'plain'])
})

t.test('a search needs every word, in any field', async (t) => {
  const web = container(1, 'web-1')
  t.ok(matches(web, 'WEB busy'))
  t.ok(matches(web, '10.77.1.1'))
  t.notOk(matches(web, 'web debian'))
})

t.test('events are the same however the text was cut', async (t) => {
  const text = ': hello\n\nid: 1\ndata: {"a":1}\n\nid: 2\ndata: x\ndata: y\r\n\r\n:\n\nid: 3\ndata: cut off'
  const expected = [
    { id: '1', data: '{"a":1}' },
    { id: '2', data: 'x\ny' },
  ]
  t.same(new EventParser().push(text), expected)
  for (let cut = 1; cut < text.length; cut++) {
    const parser = new EventParser()
    t.same([...parser.push(text.slice(0, cut)), ...parser.push(text.slice(cut))], expected, `cut at ${cut}`)
  }
})
