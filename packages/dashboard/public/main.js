// Wires the page: signs in, reads everything once, follows the events and reads again whenever something happened.

import { followEvents, read, secret, write } from './api.js'
import { showContainers } from './containers.js'
import { askForSecret, confirmAction, showFailure } from './dialogs.js'
import { byId, element, text } from './dom.js'
import { showHosts } from './hosts.js'
import { showOperations } from './operations.js'

/** Many events come together: one reading for all of them. */
const gatherMs = 150
/** Figures of use change without an event. */
const refreshMs = 5_000
/** A move's change with each report of its hosts. */
const moveFiguresMs = 1_000
const shownEvents = 30

const cluster = { status: null, hosts: [], containers: [], operations: [] }
let refreshing = null
let again = false

await signIn()
byId('content').hidden = false
byId('sign-out').hidden = false
byId('sign-out').addEventListener('click', () => {
  secret.forget()
  location.reload()
})
byId('search').addEventListener('input', draw)
setInterval(refresh, refreshMs)
setInterval(refreshMoves, moveFiguresMs)
void followEvents({ onEvent, onState, signal: new AbortController().signal })

async function signIn() {
  let problem = ''
  for (;;) {
    if (!secret.get()) secret.set((await askForSecret(problem)).trim())
    try {
      await readAll()
      draw()
      return
    } catch (error) {
      problem = error.message
      if (error.code === 'UNAUTHENTICATED') secret.forget()
      else {
        onState('lost')
        await new Promise((resolve) => setTimeout(resolve, refreshMs))
      }
    }
  }
}

async function readAll() {
  const [status, hosts, containers, operations] = await Promise.all(
    ['/v1/status', '/v1/hosts', '/v1/containers', '/v1/operations'].map(read),
  )
  Object.assign(cluster, { status, hosts, containers, operations })
}

/** One reading at a time; what happens during it causes one more. */
function refresh() {
  if (refreshing) {
    again = true
    return
  }
  refreshing = new Promise((resolve) => setTimeout(resolve, gatherMs))
    .then(readAll)
    .then(draw, () => {})
    .then(() => {
      refreshing = null
      if (again) {
        again = false
        refresh()
      }
    })
}

/** Only what changes without an event, and only while there is such a thing. */
async function refreshMoves() {
  if (refreshing || !cluster.operations.some(({ state, migration }) => state === 'running' && migration)) return
  const operations = await read('/v1/operations').catch(() => null)
  // A whole reading that was begun meanwhile is newer.
  if (operations === null || refreshing) return
  cluster.operations = operations
  draw()
}

function draw() {
  const { status, hosts, containers, operations } = cluster
  text(byId('cluster'), status.cluster)
  const leader = status.leader === null ? 'no leader' : `leader ${status.leader}`
  text(
    byId('summary'),
    `${status.hostsReady} of ${status.hosts} hosts ready · ${status.containersRunning} of ${status.containers} containers running · ${leader}`,
  )
  showHosts(hosts, actOnHost)
  showOperations(operations, (operation) =>
    attempt(
      {
        title: `Cancel ${operation.kind} ${operation.target}?`,
        explanation: 'What was begun is undone. A move can be cancelled until it is committed.',
        action: 'Cancel it',
      },
      () => write(`/v1/operations/${operation.id}/cancel`),
    ),
  )
  showContainers(containers, byId('search').value, (_action, container) => moveContainer(container))
}

const hostQuestions = {
  evacuate: [
    'Evacuate',
    'Every container on it moves to another host, live where that is possible. It takes no new ones.',
  ],
  cordon: ['Cordon', 'It takes no new containers. Those on it stay.'],
  uncordon: ['Uncordon', 'It takes new containers again.'],
  restore: ['Restore', 'It takes containers again after an evacuation.'],
}

function actOnHost(action, host) {
  const [verb, explanation] = hostQuestions[action]
  return attempt({ title: `${verb} host ${host.name}?`, explanation, action: verb }, () =>
    write(`/v1/hosts/${encodeURIComponent(host.name)}/${action}`),
  )
}

function moveContainer(container) {
  const others = cluster.hosts.filter((host) => host.name !== container.host && host.status === 'ready')
  const question = {
    title: `Move container ${container.name}?`,
    explanation: `It is on host ${container.host}. A live move keeps its processes and connections; a cold one restarts it.`,
    action: 'Move',
    fields: [
      {
        name: 'host',
        label: 'To host',
        options: [['', 'where it fits best'], ...others.map(({ name }) => [name, name])],
      },
      {
        name: 'mode',
        label: 'How',
        options: [
          ['live', 'live'],
          ['cold', 'cold (restart)'],
        ],
      },
    ],
  }
  return attempt(question, ({ host, mode }) =>
    write(`/v1/containers/${encodeURIComponent(container.name)}/move`, { mode, ...(host === '' ? {} : { host }) }),
  )
}

async function attempt(question, act) {
  const answers = await confirmAction(question)
  if (answers === null) return
  try {
    await act(answers)
    refresh()
  } catch (error) {
    showFailure(error)
  }
}

function onEvent(event) {
  const list = byId('events')
  byId('events-empty').hidden = true
  const time = new Date(event.atMs)
  list.prepend(
    element(
      'li',
      {},
      element('time', { datetime: time.toISOString() }, time.toLocaleTimeString()),
      element('span', {}, event.kind),
      element('span', {}, `${event.target}: ${event.message}`),
    ),
  )
  while (list.children.length > shownEvents) list.lastChild.remove()
  refresh()
}

function onState(state) {
  const place = byId('connection')
  place.dataset.state = state
  text(place, state === 'live' ? 'live' : 'connection lost, trying again')
}
