// `drover host evacuate --plan`: what emptying hosts would do, as a table: who goes where and when, who stays and why.

import type { EvacuationPlanView } from '@drover/protocol'
import { formatDuration } from '../output/durations.ts'
import type { Palette } from '../output/palette.ts'
import { formatBytes } from '../output/sizes.ts'
import { renderTable } from '../output/table.ts'

export function describePlan(palette: Palette, plan: EvacuationPlanView): string {
  const parts = [
    ...(plan.moves.length === 0 ? [] : [movesTable(palette, plan)]),
    ...(plan.stops.length === 0 ? [] : [`stopped where they are: ${plan.stops.join(', ')}`]),
    ...plan.stays.map((stay) => `${stay.wished ? '·' : palette.red('✗')} ${describeStay(stay)}`),
    plan.hosts.map((host) => describeHost(host)).join('\n'),
    ...(plan.meetsDeadline ? [] : [palette.yellow('the deadline would not be met')]),
  ]
  return parts.join('\n')
}

function movesTable(palette: Palette, { moves }: EvacuationPlanView): string {
  return renderTable(
    palette,
    [
      { header: 'AT', align: 'right', value: ({ startMs }) => formatDuration(startMs) },
      { header: 'CONTAINER', value: ({ container }) => container },
      { header: 'FROM', value: ({ from }) => from },
      { header: 'TO', value: ({ to }) => to },
      { header: 'HOW', value: ({ how }) => how },
      { header: 'BLACKOUT', align: 'right', value: ({ blackoutMs }) => `~${formatDuration(blackoutMs)}` },
      { header: 'SENT', align: 'right', value: ({ bytes }) => `~${formatBytes(bytes)}` },
      {
        header: '',
        value: ({ makesRoomFor }) => (makesRoomFor === null ? '' : palette.dim(`makes room for ${makesRoomFor}`)),
      },
    ],
    moves,
  )
}

function describeStay({ container, host, reason, room }: EvacuationPlanView['stays'][number]): string {
  return `${container} stays on ${host}: ${reason}${room === null ? '' : `; ${room}`}`
}

function describeHost({ host, leaves, stays, emptyMs }: EvacuationPlanView['hosts'][number]): string {
  const said = `host ${host}: ${leaves} would leave, ${stays} stay`
  return emptyMs === null ? said : `${said}; empty after about ${formatDuration(emptyMs)}`
}
