// The peers of the overlay, as `bridge fdb show` has them.

import t from 'tap'
import { peersIn } from '../src/overlay-peers.ts'

t.test('peers are the entries for everybody, not the MACs that were seen', async (t) => {
  const table = `02:64:00:00:00:02 master drover0 
86:85:dc:e9:d4:7f master drover0 permanent
02:64:00:00:00:02 dst 10.80.0.2 self 
00:00:00:00:00:00 dst 10.80.0.2 self permanent
00:00:00:00:00:00 dst fd00::3 self permanent
00:00:00:00:00:00 self permanent
`
  t.strictSame(peersIn(table), ['10.80.0.2', 'fd00::3'])
  t.strictSame(peersIn(''), [])
})
