// A laboratory with the container that the faults are tried on.

import { Story } from '../stories.ts'
import { makeSubject } from './run-case.ts'

/** A laboratory with its subject; what a failed case has left would blur the next one, so that one gets another. */
export class Stage {
  readonly story: Story
  readonly subject = 'subject'

  private constructor(story: Story) {
    this.story = story
  }

  static async open(): Promise<Stage> {
    const stage = new Stage(await Story.begin())
    await makeSubject(stage.story, stage.subject)
    return stage
  }

  async close(): Promise<null> {
    const left = await this.story.end()
    if (left.length > 0) process.stderr.write(`the laboratory left: ${left.join('; ')}\n`)
    return null
  }
}
