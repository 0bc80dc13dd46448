// `drover version`: of this command and, when one answers, of the cluster.

import { version } from '@drover/protocol/plain'
import type { Command } from 'commander'
import { action, defineCommand } from '../define-command.ts'
import type { Session } from '../session.ts'

/** The cluster's version is a courtesy: don't let a person wait for it. */
const clusterDeadlineMs = 1000

export function register(program: Command): void {
  defineCommand(program, 'version', {
    summary: 'show the versions of this command and of the cluster',
    examples: [['drover version', 'cluster: null in --json when none answers']],
  }).action(
    action(async (session) => {
      const cluster = await clusterVersion(session)
      session.output.result(
        { client: version, cluster },
        () => `drover ${version}\ncluster ${cluster ?? '(none answers)'}`,
      )
    }),
  )
}

async function clusterVersion(session: Session): Promise<string | null> {
  try {
    const status = await (await session.client()).status({ deadlineMs: clusterDeadlineMs })
    return status.version
  } catch {
    return null
  }
}
