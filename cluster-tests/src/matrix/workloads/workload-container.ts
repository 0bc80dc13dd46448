// A container with a workload in it, as the rows see it: shell commands inside, and the image's own programs outside.

import { PassThrough } from 'node:stream'
import type { DroverClient } from '@drover/client'
import { type Container, DroverError } from '@drover/protocol'
import { type Lab, waitUntil } from '@drover/testkit/lab'

const insideDeadlineMs = 120_000
const shownCharacters = 400

export class WorkloadContainer {
  readonly name: string
  readonly address: string
  readonly lab: Lab
  /** The image's files on the first host: what clients outside are taken from. */
  readonly imageFiles: string
  /** How often it was asked from inside. */
  asked = 0
  readonly #client: DroverClient

  constructor(lab: Lab, client: DroverClient, container: Container) {
    this.lab = lab
    this.#client = client
    this.name = container.name
    this.address = container.identity.ipv4.split('/')[0] as string
    const image = container.spec.image.replace(':', '-')
    this.imageFiles = `${lab.host(container.host).directory}/agent/data/images/${image}/rootfs`
  }

  /** Runs a shell script inside, as root; its stdout. One that fails is an error that shows what it said. */
  async sh(script: string): Promise<string> {
    const { code, text } = await this.#run(script)
    if (code === 0) return text
    throw new DroverError('INTERNAL', `\`${shortened(script)}\` ended with ${code}: ${shortened(text)}`)
  }

  /** Waits until a script inside succeeds. */
  async until(what: string, script: string, deadlineMs = insideDeadlineMs): Promise<void> {
    let last = ''
    try {
      await waitUntil(what, deadlineMs, async () => {
        const { code, text } = await this.#run(script)
        last = text
        return code === 0
      })
    } catch (error) {
      throw new DroverError('TIMED_OUT', `${(error as Error).message}: ${shortened(last)}`)
    }
  }

  /** Until systemd has brought everything up. */
  async booted(): Promise<void> {
    await this.until('the system to be up', 'systemctl is-system-running')
  }

  /** A long-running command as a transient service, restarted by nobody. */
  async service(unit: string, command: string): Promise<void> {
    await this.sh(`systemd-run --quiet --unit=${unit} --property=WorkingDirectory=/opt/workloads ${command}`)
    await this.sh(`systemctl show --value --property=MainPID ${unit} >/run/pid-of-${unit}`)
  }

  /** The same process as `service` started; what is otherwise is thrown. */
  async stillRuns(unit: string): Promise<void> {
    await this.sh(`test "$(systemctl show --value --property=MainPID ${unit})" = "$(cat /run/pid-of-${unit})" ||
      { echo "${unit} is not the process that it was"; journalctl --no-pager -n 5 -u ${unit}; exit 1; }`)
  }

  async #run(script: string): Promise<{ code: number; text: string }> {
    const output = new PassThrough()
    const text = output.toArray()
    const stderr = new PassThrough()
    stderr.pipe(output, { end: false })
    const request = { command: ['sh', '-c', script], terminal: null, environment: {}, directory: null, user: null }
    const session = await this.#client.exec(this.name, request, { stdin: null, stdout: output, stderr })
    const code = await session.exitCode
    output.end()
    return { code, text: Buffer.concat((await text) as Buffer[]).toString() }
  }
}

const shortened = (text: string): string => text.trim().replaceAll(/\s+/g, ' ').slice(0, shownCharacters)
