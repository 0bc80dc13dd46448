// What the page asks: the secret, and whether it shall really do it. And what it tells: failures.

import { byId, element } from './dom.js'

const noticeMs = 15_000

/** Resolves with the secret that was entered; the dialog can't be dismissed. */
export function askForSecret(problem) {
  const dialog = byId('sign-in')
  const field = byId('secret')
  byId('sign-in-problem').textContent = problem
  field.value = ''
  dialog.addEventListener('cancel', (event) => event.preventDefault(), { once: true })
  dialog.showModal()
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(field.value), { once: true })
  })
}

/**
 * Asks before something is done. `fields`: [{name, label, options: [[value, text]]}]. Resolves with {name: value}, or null
 * when it was cancelled.
 */
export function confirmAction({ title, explanation, action, fields = [] }) {
  const dialog = byId('question')
  byId('question-heading').textContent = title
  byId('question-text').textContent = explanation
  byId('question-yes').textContent = action
  const selects = fields.map(({ name, options }) =>
    element('select', { name }, ...options.map(([value, label]) => element('option', { value }, label))),
  )
  const labels = fields.map(({ label }, index) => element('label', {}, label, selects[index]))
  byId('question-fields').replaceChildren(...labels)
  dialog.returnValue = 'no'
  dialog.showModal()
  return new Promise((resolve) => {
    const onClose = () => {
      const values = Object.fromEntries(selects.map((select) => [select.name, select.value]))
      resolve(dialog.returnValue === 'yes' ? values : null)
    }
    dialog.addEventListener('close', onClose, { once: true })
  })
}

export function showFailure(error) {
  const dismiss = element('button', { type: 'button', class: 'quiet', onclick: () => notice.remove() }, 'Dismiss')
  const notice = element(
    'div',
    {},
    element('span', {}, `${error.message}${error.code ? ` (${error.code})` : ''}`),
    dismiss,
  )
  byId('notices').append(notice)
  setTimeout(() => notice.remove(), noticeMs)
}
