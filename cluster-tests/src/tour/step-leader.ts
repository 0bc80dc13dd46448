// Chapter: the controller that leads is killed in the middle of a move, and the move ends well all the same.

import { milliseconds, rounded, seconds } from '../figures.ts'
import { setTrap } from '../phase-trap.ts'
import { Witness } from '../witness.ts'
import type { TourContext } from './context.ts'

/** The new leader may wait for reports before it goes on; a move itself takes well under a second. */
const moveDeadlineMs = 60_000

export async function killLeader({ lab, client, narrator, figures, traveller, home }: TourContext): Promise<void> {
  narrator.chapter('The leader dies in the middle of a move')
  if (lab.hosts.filter((host) => host.hasController).length < 3) {
    narrator.line('left out: this cluster has one controller')
    return
  }
  const before = await client.container(traveller)
  const witness = await Witness.of(lab, before)
  const leader = await lab.leader()
  let killedIn = ''
  let killedAt = 0
  const trap = await setTrap(lab, traveller, 'preparing', async (event) => {
    killedIn = event.kind.replace('migration.', '')
    killedAt = performance.now()
    await lab.kill(leader, 'controller')
  })
  witness.mark()
  narrator.line(
    `$ drover move ${traveller} ${home}   … and kill -9 of controller ${leader} as soon as the move is under way`,
  )
  const { id } = await client.move(traveller, { host: home })
  await trap.sprung
  narrator.line(`controller ${leader} was killed while the move was ${killedIn}`)
  const ended = await client.waitOperation(id, { deadlineMs: moveDeadlineMs })
  const tookMs = performance.now() - killedAt
  const successor = await lab.leader()
  const after = await client.container(traveller)
  const verdict = await witness.verdict(after)
  witness.close()

  narrator.check(successor !== leader, `controller ${successor} leads now`)
  narrator.check(
    ended.state === 'done' && after.host === home,
    `the same move went on and ended ${seconds(tookMs)} after the kill: ${traveller} runs on ${after.host}`,
    `${ended.state}: ${ended.error?.message ?? ended.progress.message}`,
  )
  narrator.check(verdict.unbroken, `nothing in it noticed: ${verdict.detail}`, verdict.detail)
  if (verdict.blackoutMs !== null) narrator.line(`Blackout as the client saw it: ${milliseconds(verdict.blackoutMs)}`)
  await lab.restart(leader, 'controller')
  const status = await lab.whole()
  narrator.check(status.controllers.length === 3, `controller ${leader} was started again and follows ${status.leader}`)
  figures.leader_killed = {
    phase: killedIn,
    outcome: ended.state,
    seconds: rounded(tookMs / 1000),
    blackout_client_ms: verdict.blackoutMs === null ? null : rounded(verdict.blackoutMs),
  }
}
