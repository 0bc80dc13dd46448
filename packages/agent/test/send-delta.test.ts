// The last changes of a disk, as the source sends them.

import { DroverError } from '@drover/protocol'
import t from 'tap'
import { sendDelta } from '../src/migration/send-delta.ts'

type Given = Parameters<typeof sendDelta>

t.test('an engine that fails while the connection is busy fails the move, not the agent', async (t) => {
  let sent = () => {}
  const connection = {
    sendMessage: () =>
      new Promise<void>((resolve) => {
        sent = resolve
      }),
  }
  const tree = { after: async () => Promise.reject(new DroverError('WRONG_STATE', 'it was not begun')) }
  const delta = { archive: [], deletions: [], sockets: [], patches: [], names: new Map() }
  const given = [{}, { connection, root: '/nowhere', tree, figures: {} }, delta] as unknown as Given
  const sending = sendDelta(...given)
  // Time enough for Node to find a rejection that nobody handles, which would end this process.
  await new Promise((resolve) => setTimeout(resolve, 20))
  sent()
  await t.rejects(sending, { code: 'WRONG_STATE' })
})
