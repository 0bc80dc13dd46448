// A console from the command line into real containers: input, several viewers, detaching, and over a live move and a stop.

import t from 'tap'
import { openConsole as open } from '../src/console-child.ts'
import { engineOfStories, tell } from '../src/stories.ts'

await tell(
  t,
  async (story) => {
    if (engineOfStories !== 'native') return t.comment('pretended containers have no terminals')
    await story.must('launch', 'web')
    await story.lab.cli(['exec', 'web', '--', 'sh', '-c', 'echo written by init >> /var/log/console.log'])

    await t.test('two viewers share a login, one leaves, and the login stays', async (t) => {
      const one = open(t, story, 'web')
      await one.shows(/written by init\r\n/)
      await one.shows(/# /)
      one.type('memory=kept; echo "tty: $(tty)"\n')
      await one.shows(/tty: \/dev\/pts\/\d/)
      const two = open(t, story, 'web', '--detach-keys', 'ctrl-p,x')
      await two.shows(/tty: \/dev\/pts/)
      two.type('echo "from the second: $memory"\n')
      await one.shows(/from the second: kept/)
      await story.lab.cli(['exec', 'web', '--', 'sh', '-c', 'echo init says more >> /var/log/console.log'])
      await one.shows(/init says more/)
      one.type('\x01q')
      t.equal(await one.ends(), 0)
      two.type('\x01q\x10x')
      t.equal(await two.ends(), 0)
      const again = open(t, story, 'web')
      await again.shows(/from the second: kept/)
      again.type('echo "still: $memory"\n')
      await again.shows(/still: kept/)
      again.type('\x01q')
      t.equal(await again.ends(), 0)
      t.match(
        (await story.lab.cli(['logs', 'web'])).stdout,
        /written by init\n[\s\S]*init says more\n/,
        'logs keep what init writes',
      )
    })

    await t.test('it goes on over a live move, and ends with a stop', async (t) => {
      const viewer = open(t, story, 'web')
      await viewer.shows(/still: kept/)
      const before = await story.container('web')
      await story.must('move', 'web', story.otherHost(before))
      await viewer.shows(new RegExp(`web is on host ${story.otherHost(before)} now: attached again`))
      t.match(
        await story.container('web'),
        { starts: before.starts, state: 'running' },
        'it moved live with a console attached',
      )
      viewer.type('echo "after $((40 + 2))"\n')
      await viewer.shows(/after 42/)
      await story.must('stop', 'web', '--timeout', '30s')
      t.equal(await viewer.ends(), 0)
      t.match(viewer.seen.text, /web has stopped/)
    })
  },
  { hosts: ['a', 'b'], controllers: 1 },
)
