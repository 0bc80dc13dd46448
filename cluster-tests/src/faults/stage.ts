// A laboratory with the container that the faults are tried on.

import { Story } from '../stories.ts'
import { Subject } from './subject.ts'

/** A laboratory with its subject; what a failed case has left would blur the next one, so that one gets another. */
export class Stage {
  readonly story: Story
  readonly subject: Subject

  private constructor(story: Story, subject: Subject) {
    this.story = story
    this.subject = subject
  }

  static async open(): Promise<Stage> {
    const story = await Story.begin()
    try {
      return new Stage(story, await Subject.make(story, 'subject'))
    } catch (error) {
      await story.end()
      throw error
    }
  }

  async close(): Promise<null> {
    const left = await this.story.end()
    if (left.length > 0) process.stderr.write(`the laboratory left: ${left.join('; ')}\n`)
    return null
  }
}
