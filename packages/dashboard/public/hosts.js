// A card for each host: how full it is by what its containers asked for and by what they use, and what can be done with it.

import { byId, element, keyed, text, vector } from './dom.js'
import { bytes, cores, share, tone } from './format.js'

/** Length of a bar in the units of its picture. */
const barLength = 100

const meters = [
  { field: 'memoryBytes', label: 'Memory', show: bytes },
  { field: 'cpuMilli', label: 'CPU', show: (value) => `${cores(value)} cores` },
  { field: 'diskBytes', label: 'Disk', show: bytes },
]

/** `act(action, host)`: evacuate, restore, cordon or uncordon. */
export function showHosts(hosts, act) {
  text(byId('hosts-count'), String(hosts.length))
  keyed(
    byId('hosts'),
    hosts,
    (host) => host.name,
    () => newCard(act),
    updateCard,
  )
}

function newCard(act) {
  const card = element('li', { class: 'card' })
  const button = (action, label) =>
    element('button', { type: 'button', 'data-action': action, onclick: () => act(action, card.host) }, label)
  card.append(
    element('h3', {}, element('span', { class: 'name' }), element('span', { class: 'pill' })),
    element('p'),
    ...meters.map(newMeter),
    element(
      'div',
      { class: 'actions' },
      button('evacuate', 'Evacuate'),
      button('cordon', 'Cordon'),
      button('uncordon', 'Uncordon'),
      button('restore', 'Restore'),
    ),
  )
  return card
}

function newMeter({ label }) {
  const rect = (name) => vector('rect', { class: name, width: name === 'track' ? barLength : 0, height: 6, rx: 1 })
  const bar = vector(
    'svg',
    { viewBox: `0 0 ${barLength} 6`, preserveAspectRatio: 'none', role: 'img' },
    rect('track'),
    rect('asked'),
    rect('used'),
  )
  return element('div', { class: 'meter' }, element('span', {}, label), bar, element('span', { class: 'figure' }))
}

function updateCard(card, host) {
  card.host = host
  text(card.querySelector('.name'), host.name)
  const pill = card.querySelector('.pill')
  text(pill, host.status)
  pill.dataset.tone = tone(host.status)
  const { criu } = host.features
  const moves = criu.usable ? '' : ` · no live moves: ${criu.reason}`
  text(
    card.querySelector('p'),
    `${host.containers} container${host.containers === 1 ? '' : 's'} · ${host.address} · ${host.features.engine}${moves}`,
  )
  card.querySelectorAll('.meter').forEach((meter, index) => {
    updateMeter(meter, host, meters[index])
  })
  for (const button of card.querySelectorAll('button')) {
    const { action } = button.dataset
    button.hidden = action === 'cordon' ? host.cordoned : action === 'evacuate' ? false : !host.cordoned
    button.setAttribute('aria-label', `${button.textContent} host ${host.name}`)
  }
}

function updateMeter(meter, host, { field, label, show }) {
  const capacity = host.capacity[field]
  const asked = host.requested[field]
  const used = host.used?.[field] ?? 0
  meter.querySelector('.asked').setAttribute('width', share(asked, capacity) * barLength)
  meter.querySelector('.used').setAttribute('width', share(used, capacity) * barLength)
  const percent = Math.round(share(asked, capacity) * 100)
  text(meter.querySelector('.figure'), `${percent} % of ${show(capacity)}`)
  meter
    .querySelector('svg')
    .setAttribute('aria-label', `${label}: ${show(asked)} asked for, ${show(used)} used, of ${show(capacity)}`)
}
