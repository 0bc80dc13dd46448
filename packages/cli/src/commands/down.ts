// `drover down`: stops the daemons of this machine. Containers go on running, unless it is asked to delete them.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DroverClient } from '@drover/client'
import type { ClientConfig } from '@drover/protocol'
import { DroverError } from '@drover/protocol/plain'
import type { Command } from 'commander'
import {
  bringDown,
  defaultDataDirectory,
  isNodeUp,
  type NodeSettings,
  readSettings,
  removeBridge,
  removeNat,
} from '../daemons/index.ts'
import { action, defineCommand } from '../define-command.ts'
import type { Output } from '../output/output.ts'

export function register(program: Command): void {
  defineCommand(program, 'down', {
    summary: 'stop the cluster on this machine; its containers go on running',
    examples: [
      ['drover down', 'stop the daemons, leave the containers alone'],
      [
        'drover down --stop-containers',
        'before the machine goes down: all stop in order, and run again after drover up',
      ],
      ['drover down --delete-containers', 'delete every container first'],
    ],
  })
    .option(
      '--data <directory>',
      'where everything is kept (default: /var/lib/drover, without root ~/.local/share/drover)',
    )
    .option('--stop-containers', 'stop what runs, by stop.priority; drover up starts it again, as after a boot')
    .option('--delete-containers', 'delete every container, and what is in it')
    .action(
      action(async (session, options: { data?: string; deleteContainers?: boolean; stopContainers?: boolean }) => {
        const data = options.data ?? defaultDataDirectory()
        const settings = readSettings(data)
        if (settings === null) {
          throw new DroverError(
            'NOT_CONFIGURED',
            `stop this machine’s cluster: none was ever started in ${data}; say --data as drover up did`,
          )
        }
        const deleted = options.deleteContainers ? await deleteContainers(data, settings, session.output) : []
        const stopContainers = options.stopContainers ?? false
        const stopped = await bringDown(data, (line) => session.output.note(line), { stopContainers })
        const bridgeGone = options.deleteContainers === true && settings.engine === 'native'
        if (bridgeGone) {
          removeBridge()
          removeNat(data)
        }
        session.output.result(
          { stopped, deleted, containersGoOn: !options.deleteContainers && !stopContainers },
          () => {
            if (options.deleteContainers)
              return `${deleted.length} containers deleted, ${stopped.length} daemons stopped`
            const what = stopped.length === 0 ? 'nothing ran' : `stopped: ${stopped.join(', ')}`
            return `${what}\n${stopContainers ? 'containers were stopped; drover up starts them again' : 'containers go on running; drover up finds them again'}`
          },
        )
      }),
    )
}

async function deleteContainers(data: string, settings: NodeSettings, output: Output): Promise<string[]> {
  if (settings.joined)
    throw new DroverError(
      'WRONG_STATE',
      `drover down --delete-containers: host ${settings.host} is one of several, whose containers these are; say drover host evacuate ${settings.host}, or delete them by name`,
    )
  if (!isNodeUp(data, settings)) {
    throw new DroverError('WRONG_STATE', 'drover down --delete-containers: the cluster is not up; say drover up first')
  }
  const config = JSON.parse(await readFile(join(data, 'client.json'), 'utf8')) as ClientConfig
  const client = new DroverClient(config)
  const others = (await client.hosts()).filter(({ name }) => name !== settings.host)
  if (others.length > 0)
    throw new DroverError(
      'WRONG_STATE',
      `drover down --delete-containers: the cluster has other hosts (${others.map(({ name }) => name).join(', ')}); remove them first, or delete containers by name`,
    )
  const containers = await client.containers()
  for (const container of containers) {
    const operation = await client.delete(container.name)
    const ended = await client.waitOperation(operation.id)
    if (ended.state !== 'done') {
      throw DroverError.fromJSON({ error: { ...ended.error, retryable: false, context: { operation: ended.id } } })
    }
    output.note(`deleted ${container.name}`)
  }
  return containers.map((container) => container.name)
}
