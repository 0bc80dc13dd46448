// The table of containers: searched as one types, and cut off where nobody reads on.

import { byId, element, keyed, text } from './dom.js'
import { bytes, duration, matches, tone } from './format.js'

/** Rows that are drawn; the search finds the others. */
const shownRows = 200

/** `act('move', container)` */
export function showContainers(containers, query, act) {
  const found = query.trim() === '' ? containers : containers.filter((container) => matches(container, query.trim()))
  const shown = found.slice(0, shownRows)
  const count = found.length === containers.length ? `${found.length}` : `${found.length} of ${containers.length}`
  text(byId('containers-count'), count)
  keyed(
    byId('containers'),
    shown,
    (container) => container.id,
    () => newRow(act),
    updateRow,
  )
  const rest = byId('containers-rest')
  rest.hidden = found.length === shown.length && found.length > 0
  text(rest, found.length === 0 ? 'No container.' : `${found.length - shown.length} more: search to find them.`)
}

function newRow(act) {
  const row = element('tr')
  const cell = (name, number = false) => element('td', { 'data-cell': name, class: number ? 'number' : null })
  const move = element('button', { type: 'button', onclick: () => act('move', row.container) }, 'Move')
  row.append(
    element('th', { scope: 'row', 'data-cell': 'name' }),
    element('td', {}, element('span', { class: 'pill' })),
    cell('host'),
    cell('address'),
    cell('image'),
    cell('memory', true),
    cell('up', true),
    cell('starts', true),
    element('td', {}, move),
  )
  return row
}

function updateRow(row, container) {
  row.container = container
  const cell = (name) => row.querySelector(`[data-cell="${name}"]`)
  const running = container.state === 'running' || container.state === 'migrating'
  text(cell('name'), container.name)
  text(cell('host'), container.host)
  text(cell('address'), container.identity.ipv4.split('/')[0])
  text(cell('image'), container.spec.imageName)
  text(cell('memory'), bytes(container.spec.requests.memoryBytes))
  text(cell('up'), running && container.startedAtMs !== null ? duration(Date.now() - container.startedAtMs) : '–')
  text(cell('starts'), String(container.starts))
  const pill = row.querySelector('.pill')
  text(pill, container.state)
  pill.dataset.tone = tone(container.state)
  pill.title = container.message ?? ''
  const move = row.querySelector('button')
  move.disabled = container.operation !== null || container.state === 'deleting'
  move.setAttribute('aria-label', `Move container ${container.name}`)
}
