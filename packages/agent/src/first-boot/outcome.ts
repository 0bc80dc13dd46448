// Pure: what the files inside say of a first boot. They are the container's own, so nothing of them is believed but as words to show.

import type { FirstBootOutcome } from '@drover/protocol'

const shownCharacters = 300

/** Of the file `state`; `pid`: of the script that should still be there, in the container. */
export function outcomeOfScript(state: string, starts: number): { outcome: FirstBootOutcome; pid: number | null } {
  const lines = state.split('\n').filter((line) => line !== '')
  const last = lines.at(-1) ?? ''
  const [, pid, startedIn] = /^running (\d{1,9}) (\d{1,9})$/.exec(lines[0] ?? '') ?? []
  const at = last.startsWith('step ') ? last.slice('step '.length) : 'its begin'
  if (last === 'done') return ended('done', '')
  if (last.startsWith('failed ')) return ended('failed', last.slice('failed '.length))
  if (startedIn !== undefined && Number(startedIn) !== starts)
    return ended('failed', `cut off at ${at} by a stop or reboot`)
  const message = last.startsWith('step ') ? at : 'waiting for init to come up'
  return {
    outcome: { state: 'running', by: 'drover', message: shown(message) },
    pid: pid === undefined ? null : Number(pid),
  }
}

/** The script is no more, and has not said how it ended. */
export const killedOutcome = ({ message }: FirstBootOutcome): FirstBootOutcome => ({
  state: 'failed',
  by: 'drover',
  message: shown(`ended without a word: ${message}`),
})

/** Of cloud-init's result.json (null: not there yet): {v1: {datasource, errors}}. */
export function outcomeOfCloudInit(result: string | null): FirstBootOutcome {
  const by = 'cloud-init'
  if (result === null) return { state: 'running', by, message: '' }
  try {
    const { errors } = (JSON.parse(result) as { v1: { errors: unknown[] } }).v1
    if (errors.length === 0) return { state: 'done', by, message: '' }
    return { state: 'failed', by, message: shown(errors.join('; ')) }
  } catch {
    return { state: 'failed', by, message: 'its result.json is none' }
  }
}

function ended(state: 'done' | 'failed', message: string) {
  return { outcome: { state, by: 'drover' as const, message: shown(message) }, pid: null }
}

/** In one line, and no long one. */
const shown = (text: string) => text.replace(/[^\x20-\x7e\u00a1-\uffff]+/g, ' ').slice(0, shownCharacters)
