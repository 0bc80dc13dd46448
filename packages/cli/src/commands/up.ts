// `drover up`: this machine as a whole cluster.

import { type Command, Option } from 'commander'
import { bringUp, defaultDataDirectory, type EngineKind, revive } from '../daemons/index.ts'
import { action, defineCommand } from '../define-command.ts'
import { UsageError } from '../failure.ts'
import { renderFields } from '../output/table.ts'

interface UpFlags {
  data?: string
  engine?: EngineKind
  address?: string
  join?: string
  bridge?: string
  nat?: boolean
  tuneHost?: boolean
  revive?: boolean
}

export function register(program: Command): void {
  defineCommand(program, 'up', {
    summary: 'start a cluster on this machine, or join one',
    description: `Start a cluster on this machine: a bus, an engine, a controller and an agent. What runs already is left alone, so it can be
said again at any time. With an address that other machines reach, they can join: each by a token of \`drover host token create\`,
which it is given once; from then on \`drover up\` starts its engine and agent.`,
    examples: [
      ['drover up', 'real containers, data in /var/lib/drover (root)'],
      ['drover up --engine simulated', 'pretended containers, without root'],
      ['drover up --address 192.0.2.1', 'others may join; what runs is started again for it, containers go on'],
      ['drover up --join drover-join-WyJi…', 'on the new machine: it becomes a host of that cluster'],
      ['drover up --data /srv/drover', 'another data directory'],
      ['drover up --no-nat', 'containers reach this machine and each other only'],
      ['drover up --revive', 'what a timer says: only what ended by itself runs again'],
    ],
  })
    .option(
      '--data <directory>',
      'where everything is kept (default: /var/lib/drover, without root ~/.local/share/drover)',
    )
    .addOption(new Option('--engine <kind>', 'which engine (default: native)').choices(['native', 'simulated']))
    .option(
      '--address <ip>',
      'where other hosts reach this machine; kept (default: nowhere, or as the controller is reached)',
    )
    .option('--join <token>', 'become a host of the cluster that made the token')
    .option(
      '--bridge <name>',
      'with --join, where containers have a network of yours: a bridge of this machine in it; kept',
    )
    .option('--nat', 'containers reach the outside with this machine’s address (usual)')
    .option('--no-nat', 'they don’t; kept until --nat')
    .option('--tune-host', 'the agent raises kernel settings that limit how many containers a machine holds (usual)')
    .option('--no-tune-host', 'it leaves them, from its next start on; kept until --tune-host')
    .option('--revive', 'start only daemons that ended by themselves, not those that drover down stopped')
    .action(
      action(async (session, options: UpFlags) => {
        const data = options.data ?? defaultDataDirectory()
        if (options.revive) {
          const revived = await revive(data)
          const said = revived.length === 0 ? 'no daemon had ended by itself' : `started again: ${revived.join(', ')}`
          return session.output.result({ revived }, () => said)
        }
        if (options.bridge !== undefined && options.join === undefined)
          throw new UsageError('--bridge goes with --join: a cluster of this machine alone has a bridge of its own')
        const up = await bringUp({
          data,
          engine: options.engine ?? null,
          address: options.address ?? null,
          join: options.join ?? null,
          bridge: options.bridge ?? null,
          clientFile: session.terminal.environment.DROVER_CONFIG ?? null,
          nat: options.nat ?? null,
          tuneHost: options.tuneHost ?? null,
          onProgress: (line) => session.output.note(line),
        })
        session.output.result(
          {
            endpoint: up.endpoint,
            clientFile: up.clientFile,
            data,
            host: up.settings.host,
            engine: up.settings.engine,
            daemons: up.daemons,
            status: up.status,
          },
          () =>
            [
              renderFields(session.output.palette, [
                ['host', `${up.settings.host} (${up.settings.engine} engine)`],
                ['API and dashboard', up.endpoint],
                ['containers', `${up.status.containersRunning} of ${up.status.containers} running`],
                ['data', data],
                ['client file', up.clientFile],
              ]),
              '',
              ...(up.clientFileIsDefault
                ? []
                : [`export DROVER_CONFIG=${up.clientFile}   # yours is of another cluster`]),
              up.settings.joined
                ? `host ${up.settings.host} is in: drover host ls`
                : `go on with: ${nextStep(up.images)}`,
            ].join('\n'),
        )
      }),
    )
}

/** What to say next, by the names of the images that there are. */
export function nextStep(images: readonly string[]): string {
  const [first] = images
  if (first === undefined) return 'drover image build busybox; drover launch web'
  return images.includes('busybox') ? 'drover launch web' : `drover launch web --image ${first}`
}
