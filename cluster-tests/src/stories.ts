// What every story needs: a laboratory shared by one test file (or the reason why there is none), and the question that each
// story ends with: does every container run exactly once?

import { existsSync } from 'node:fs'
import { Writable } from 'node:stream'
import { criuChoice, type EngineKind, programs } from '@drover/cli/daemons'
import { DroverClient } from '@drover/client'
import type { Container, FirstBootOutcome, Operation } from '@drover/protocol'
import { Lab, type LabOptions, waitUntil } from '@drover/testkit/lab'
import type { Test } from 'tap'

/** `DROVER_STORIES=simulated` tells them with pretended containers, for work on everything above the engine. */
export const engineOfStories: EngineKind = process.env.DROVER_STORIES === 'simulated' ? 'simulated' : 'native'

/** Why the stories cannot be told here; null when they can. */
export function whyNot(): string | null {
  if (engineOfStories === 'simulated') return null
  if (process.getuid?.() !== 0) return 'needs root: hosts are namespaces'
  if (!existsSync(programs.nativeEngine)) return 'the native engine is not built: run deploy/bootstrap'
  if (!existsSync(programs.raftAddon)) return 'the raft addon is not built: run deploy/bootstrap'
  if (!criuChoice().usable) return `no CRIU works here: ${criuChoice().reason}`
  return null
}

/** Tells a story on a laboratory of its own, and ends with the question whether anything is left of it. */
export async function tell(t: Test, body: (story: Story) => Promise<void>, options: LabOptions = {}): Promise<void> {
  const skip = whyNot()
  if (skip !== null) {
    t.pass('left out', { skip })
    return
  }
  const story = await Story.begin(options)
  try {
    await body(story)
  } finally {
    await t.test('the laboratory leaves nothing behind', async (t) => {
      t.strictSame(await story.end(), [])
    })
  }
}

/** Of a script inside: a whole system may have to boot first. */
const scriptDeadlineMs = 180_000
/** Recovery of anything killed, on a busy machine. */
export const settleDeadlineMs = 90_000

export class Story {
  readonly lab: Lab
  readonly client: DroverClient

  private constructor(lab: Lab) {
    this.lab = lab
    this.client = new DroverClient({ endpoints: lab.endpoints, secret: lab.secret })
  }

  /** A cluster with an image, ready to launch. */
  static async begin(options: LabOptions = {}): Promise<Story> {
    const story = new Story(await Lab.start({ engine: engineOfStories, ...options }))
    try {
      await story.must('image', 'build', 'busybox')
      return story
    } catch (error) {
      await story.lab.down()
      throw error
    }
  }

  /** Takes the laboratory down; what is left of it, which must be nothing. */
  async end(): Promise<string[]> {
    await this.lab.down({ keepFiles: process.env.DROVER_KEEP === '1' })
    return process.env.DROVER_KEEP === '1' ? [] : this.lab.leftovers()
  }

  /** A `drover` command that must succeed; its JSON. */
  must<T = unknown>(...args: string[]): Promise<T> {
    return this.lab.query<T>(args)
  }

  /**
   * What a script says inside, without white space around it; it must succeed. By the API, as the command asks it: beginning a command
   * takes longer than most scripts do.
   */
  async sh(name: string, script: string): Promise<string> {
    const said = { out: '', err: '' }
    const into = (key: 'out' | 'err') =>
      new Writable({
        write(data: Buffer, _encoding, done) {
          said[key] += data
          done()
        },
      })
    const plain = { environment: {}, directory: null, user: null, terminal: null }
    const { exitCode } = await this.client.exec(
      name,
      { command: ['sh', '-c', script], ...plain },
      { stdin: null, stdout: into('out'), stderr: into('err'), signal: AbortSignal.timeout(scriptDeadlineMs) },
    )
    const code = await exitCode
    if (code !== 0) throw new Error(`${script} in ${name}: exit code ${code}: ${said.err}${said.out}`)
    return said.out.trim()
  }

  container(name: string): Promise<Container> {
    return this.must<Container>('info', name)
  }

  /** How its first boot has ended, which may take a whole boot and what cloud-init does in it. */
  async firstBoot(name: string): Promise<FirstBootOutcome> {
    let outcome: FirstBootOutcome | undefined
    await waitUntil(`the first boot of ${name} to end`, scriptDeadlineMs, async () => {
      outcome = (await this.client.container(name)).firstBoot
      return outcome !== undefined && outcome.state !== 'running'
    })
    return outcome as FirstBootOutcome
  }

  /** Another host than the container's. */
  otherHost(container: Container): string {
    return this.lab.hosts.find((host) => host.name !== container.host)?.name as string
  }

  async ended(id: string): Promise<Operation> {
    return await this.client.waitOperation(id, { deadlineMs: settleDeadlineMs })
  }

  /** Waits until API and processes say that each of these runs once; what is wrong, if it stays wrong. */
  async everyOneRunsOnce(names: string[]): Promise<string[]> {
    let wrong: string[] = []
    try {
      await waitUntil('every container to run once', settleDeadlineMs, async () => {
        wrong = await this.#whatIsWrong(names)
        return wrong.length === 0
      })
    } catch (error) {
      if (wrong.length === 0) wrong = [(error as Error).message]
    }
    return wrong
  }

  async #whatIsWrong(names: string[]): Promise<string[]> {
    const containers = await this.client.containers()
    const unknown = containers.filter(({ name }) => !names.includes(name)).map(({ name }) => `${name} is not expected`)
    const running = new Map<string, string[]>()
    for (const { id } of containers) running.set(id, await this.lab.hostsRunning(id))
    const wrong = names.flatMap((name) => {
      const container = containers.find((each) => each.name === name)
      if (container === undefined) return [`${name} is gone`]
      const where = running.get(container.id)?.join(', ') || 'no host'
      return [
        ...(container.state === 'running' ? [] : [`${name} is ${container.state}`]),
        ...(where === container.host ? [] : [`${name} should run on ${container.host} and has processes on ${where}`]),
        ...(container.operation === null ? [] : [`${name} is still under operation ${container.operation}`]),
      ]
    })
    return [...unknown, ...wrong]
  }
}
