// What colours mean. One table, so that `running` is the same green everywhere; without a terminal there are none.

import pc from 'picocolors'

export type Palette = ReturnType<typeof pc.createColors>

/** NO_COLOR and FORCE_COLOR as https://no-color.org and https://force-color.org say, else whether it is a terminal. */
export function makePalette(isTTY: boolean, environment: NodeJS.ProcessEnv): Palette {
  if (environment.NO_COLOR) return pc.createColors(false)
  if (environment.FORCE_COLOR && environment.FORCE_COLOR !== '0') return pc.createColors(true)
  return pc.createColors(isTTY && environment.TERM !== 'dumb')
}

/** Colours a state of a container, host or operation. */
export function paintState(palette: Palette, state: string): string {
  const paint = stateColours[state]
  return paint ? palette[paint](state) : state
}

const stateColours: Record<string, 'green' | 'red' | 'yellow' | 'cyan' | 'dim'> = {
  running: 'green',
  ready: 'green',
  done: 'green',
  committed: 'green',
  failed: 'red',
  silent: 'red',
  lost: 'red',
  aborted: 'red',
  unknown: 'red',
  pending: 'yellow',
  preempted: 'yellow',
  cordoned: 'yellow',
  migrating: 'cyan',
  frozen: 'cyan',
  deleting: 'yellow',
  cancelled: 'yellow',
  stopped: 'dim',
}
