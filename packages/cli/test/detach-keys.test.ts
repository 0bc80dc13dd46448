// What is typed at a console goes inside, byte for byte, but for the keys that leave it.

import t from 'tap'
import { DetachFilter, parseDetachKeys } from '../src/detach-keys.ts'

t.test('keys mean what a terminal sends for them', async (t) => {
  t.same([...parseDetachKeys('ctrl-a,q')], [1, 113])
  t.same([...parseDetachKeys('ctrl-P,ctrl-Q')], [16, 17])
  t.same([...parseDetachKeys('ctrl-],.')], [29, 46])
  for (const wrong of ['', 'ctrl-', 'f1', 'ctrl-a,,q', 'aa', 'a,b,c,d,e,f,g,h,i']) {
    t.throws(() => parseDetachKeys(wrong), { message: /are no keys: write e.g. ctrl-p,ctrl-q/ }, wrong)
  }
})

for (const [name, keys, typed, passed, detached] of [
  ['plain keys go inside', 'ctrl-a,q', ['ls\r'], 'ls\r', false],
  ['the keys leave, and are not sent', 'ctrl-a,q', ['ls\r\x01q'], 'ls\r', true],
  ['also one by one', 'ctrl-a,q', ['\x01', 'q'], '', true],
  ['what only begins like them goes inside whole', 'ctrl-a,q', ['\x01', 'x'], '\x01x', false],
  ['their beginning twice, and then they', 'ctrl-a,q', ['\x01\x01q'], '\x01', true],
  ['one key', 'ctrl-]', ['a\x1db'], 'a', true],
  ['characters of more than one byte are kept', 'ctrl-a,q', ['é\x01é'], 'é\x01é', false],
] as const) {
  t.test(`detaching: ${name}`, async (t) => {
    let left = false
    const filter = new DetachFilter(parseDetachKeys(keys), () => {
      left = true
    })
    for (const piece of typed) filter.write(piece)
    t.equal(String(filter.read() ?? ''), passed)
    t.equal(left, detached)
  })
}
