// The container that the faults are tried on: forty files with their checksums on its disk, and, where there is a C compiler, a process
// with enough memory that it goes ahead of the freeze, and that knows whether it is whole.

import { compileKeeper, Keeper } from '../keeper.ts'
import type { Story } from '../stories.ts'

const keptMebibytes = 12

export class Subject {
  readonly name: string
  readonly #story: Story
  readonly #keeper: Keeper | null

  private constructor(story: Story, name: string, keeper: Keeper | null) {
    this.#story = story
    this.name = name
    this.#keeper = keeper
  }

  static async make(story: Story, name: string): Promise<Subject> {
    await story.must('launch', name)
    const files = 'mkdir /data && cd /data && for n in $(seq 40); do head -c $((n * 5000)) /dev/urandom > f$n; done'
    const made = await story.lab.cli(['exec', name, '--', 'sh', '-c', `${files} && sha256sum f* > SUMS`])
    if (made.code !== 0) throw new Error(`fill the disk of ${name}: ${made.stderr}`)
    const program = story.lab.engine === 'native' ? compileKeeper(story.lab.directory) : null
    const keeper = program === null ? null : await Keeper.start(story, name, program, keptMebibytes, 0)
    return new Subject(story, name, keeper)
  }

  /** Whether some of its memory goes ahead. */
  get hasMuchMemory(): boolean {
    return this.#keeper !== null
  }

  /** The files that were there before still are, to the byte, and so is the memory. */
  async problems(): Promise<string[]> {
    const check = 'cd /data && sha256sum -c -s SUMS && echo intact'
    const checked = await this.#story.lab.cli(['exec', this.name, '--', 'sh', '-c', check])
    const said = (checked.stderr || checked.stdout).trim() || 'it differs'
    const memory = this.#keeper === null ? 'whole' : (await this.#keeper.ask()).memory
    return [
      ...(checked.stdout.includes('intact') ? [] : [`disk: ${said}`]),
      ...(memory === 'whole' ? [] : [`memory: it is ${memory}`]),
    ]
  }
}
