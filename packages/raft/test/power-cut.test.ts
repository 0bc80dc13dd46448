// What a log has acknowledged is on the disk when the power is cut, not only with the kernel. That a cut loses something is shown by a file that was
// written just before and not waited for.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isRaftAvailable, RaftLog, type ReplicatedLog, SingleNodeLog } from '@drover/raft'
import { makeCutDisk, whyNoCutDisk } from '@drover/testkit/cut-disk'
import t from 'tap'
import { freeMembers } from './raft-cluster.ts'
import { RecordingMachine } from './recording-machine.ts'

const deadlineMs = 60_000
const entries = 20

const addon = isRaftAvailable()
const [own] = await freeMembers(1)
const noDisk = whyNoCutDisk()

type Make = (directory: string, machine: RecordingMachine) => ReplicatedLog
const logs: { name: string; skip: string | false; make: Make }[] = [
  { name: 'the embedded log', skip: noDisk, make: (directory, machine) => new SingleNodeLog({ directory, machine }) },
  {
    name: 'the Raft log',
    skip: addon.available ? noDisk : (addon.reason ?? 'needs libraft'),
    make: (directory, machine) => new RaftLog({ directory, machine, ...own!, members: [own!], secret: 'power' }),
  },
]

for (const { name, skip, make } of logs) {
  t.test(`${name}: what was acknowledged survives a power cut`, { skip }, async (t) => {
    const disk = makeCutDisk(t)
    const log = make(join(disk.place, 'log'), new RecordingMachine())
    await log.start()
    for (let number = 0; number < entries; number += 1) await log.propose(Buffer.from(`entry-${number}`), deadlineMs)
    // At the last moment: anyone's `sync` has everything written.
    writeFileSync(join(disk.place, 'not-waited-for'), 'x'.repeat(10_000))
    const after = disk.cut()
    await log.close()

    const lost = join(after, 'not-waited-for')
    t.ok(!existsSync(lost) || readFileSync(lost, 'utf8') === '', 'the copy has only what was written to the disk')
    const machine = new RecordingMachine()
    const again = make(join(after, 'log'), machine)
    await again.start()
    await again.propose(Buffer.from('after'), deadlineMs)
    const expected = [...Array.from({ length: entries }, (_, number) => `entry-${number}`), 'after']
    t.same(machine.entries, expected)
    await again.close()
  })
}
