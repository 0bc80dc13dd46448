// `drover up`: this machine as a whole cluster.

import { type Command, Option } from 'commander'
import { bringUp, defaultDataDirectory, type EngineKind } from '../daemons/index.ts'
import { action, defineCommand } from '../define-command.ts'
import { renderFields } from '../output/table.ts'

export function register(program: Command): void {
  defineCommand(program, 'up', {
    summary: 'start a cluster on this machine',
    description:
      'Start a cluster on this machine: a bus, an engine, a controller and an agent. What runs already is left alone,\n' +
      'so it can be said again at any time.',
    examples: [
      ['drover up', 'real containers, data in /var/lib/drover (root)'],
      ['drover up --engine simulated', 'pretended containers, without root'],
      ['drover up --data /srv/drover', 'another data directory'],
      ['drover up --no-nat', 'containers reach this machine and each other only'],
    ],
  })
    .option(
      '--data <directory>',
      'where everything is kept (default: /var/lib/drover, without root ~/.local/share/drover)',
    )
    .addOption(new Option('--engine <kind>', 'which engine (default: native)').choices(['native', 'simulated']))
    .option('--nat', 'containers reach the outside with this machine’s address (usual)')
    .option('--no-nat', 'they don’t; kept until --nat')
    .option('--tune-host', 'the agent raises kernel settings that limit how many containers a machine holds (usual)')
    .option('--no-tune-host', 'it leaves them, from its next start on; kept until --tune-host')
    .action(
      action(async (session, options: { data?: string; engine?: EngineKind; nat?: boolean; tuneHost?: boolean }) => {
        const data = options.data ?? defaultDataDirectory()
        const up = await bringUp({
          data,
          engine: options.engine ?? null,
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
              'go on with: drover image build busybox; drover launch web',
            ].join('\n'),
        )
      }),
    )
}
