// Where systemd runs the machine, each daemon of `drover up` gets a scope of its own. Else it would be part of the login, or of the unit, from
// which `drover up` was said, and end with that: at a shutdown before the containers have been stopped. A scope goes down after
// drover.service, whose stop asks the agent.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { DaemonKind } from './daemon.ts'
import { isRoot } from './node-settings.ts'

const program = '/usr/bin/systemd-run'
/** Where systemd listens to root, without a message bus. */
const socket = '/run/systemd/private'

/** The prefix of its command: systemd-run with --scope becomes the command, so that the pid stays the same. */
export function ownScope(kind: DaemonKind): string[] {
  if (!isRoot() || !existsSync(socket) || !existsSync(program)) return []
  const unit = `drover-${kind}-${randomBytes(4).toString('hex')}.scope`
  const properties = ['--property=Before=drover.service', `--description=drover ${kind}`]
  return [program, '--scope', '--quiet', '--collect', '--slice=system.slice', `--unit=${unit}`, ...properties, '--']
}
