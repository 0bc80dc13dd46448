// What is under way, with its progress, and what has ended in the last minutes.

import { byId, element, keyed, text } from './dom.js'
import { duration, tone } from './format.js'
import { describeTransfer } from './move-figures.js'

const shownEnded = 5

/** `cancel(operation)` */
export function showOperations(operations, cancel) {
  const running = operations.filter((operation) => operation.state === 'running')
  const ended = operations
    .filter((operation) => operation.state !== 'running')
    .sort((left, right) => (right.endedAtMs ?? 0) - (left.endedAtMs ?? 0))
    .slice(0, shownEnded)
  text(byId('operations-count'), running.length === 0 ? '' : `${running.length} running`)
  byId('operations-empty').hidden = running.length + ended.length > 0
  keyed(
    byId('operations'),
    [...running, ...ended],
    (operation) => operation.id,
    () => newItem(cancel),
    updateItem,
  )
}

function newItem(cancel) {
  const item = element('li')
  const button = element('button', { type: 'button', class: 'quiet', onclick: () => cancel(item.operation) }, 'Cancel')
  item.append(
    element('span', {}, element('strong', { class: 'what' }), ' ', element('span', { class: 'pill' })),
    element('progress', { max: 1, value: 0 }),
    element('span', { class: 'told' }, element('span', { class: 'message' }), element('span', { class: 'figures' })),
    button,
  )
  return item
}

function updateItem(item, operation) {
  item.operation = operation
  const running = operation.state === 'running'
  const what = `${operation.kind} ${operation.target}`
  text(item.querySelector('.what'), what)
  const pill = item.querySelector('.pill')
  text(pill, running ? operation.phase : operation.state)
  pill.dataset.tone = running ? 'warn' : tone(operation.state)
  const bar = item.querySelector('progress')
  const { done, total } = operation.progress
  bar.setAttribute('aria-label', `Progress of ${what}`)
  if (!running) bar.value = operation.state === 'done' ? 1 : 0
  else if (total > 0) bar.value = done / total
  else bar.removeAttribute('value')
  const message = item.querySelector('.message')
  message.classList.toggle('problem', operation.error !== null)
  text(message, describe(operation))
  const figures = item.querySelector('.figures')
  const told = describeTransfer(operation)
  figures.hidden = told === ''
  text(figures, told)
  const button = item.querySelector('button')
  button.hidden = !running
  button.disabled = operation.cancelRequested
  button.setAttribute('aria-label', `Cancel ${what}`)
}

function describe({ error, progress, migration, endedAtMs, createdAtMs }) {
  if (error) return `${error.message} (${error.code})`
  const blackout = migration?.figures.blackout_ms
  const parts = [
    progress.message,
    migration ? `${migration.source} → ${migration.destination}` : '',
    blackout === undefined ? '' : `blackout ${Math.round(blackout)} ms`,
    endedAtMs === null ? '' : `took ${duration(endedAtMs - createdAtMs)}`,
  ]
  return parts.filter(Boolean).join(' · ')
}
