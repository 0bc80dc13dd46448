// What does not speak our handshake never reaches libraft, and costs the members nothing.

import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { isRaftAvailable } from '@drover/raft'
import t from 'tap'
import { DEADLINE_MS, freeMembers, RaftCluster } from './raft-cluster.ts'

const addon = isRaftAvailable()
const options = addon.available ? {} : { skip: addon.reason ?? true }

/** libraft's own first words: protocol 1, an id, and an address of 2^62 bytes. */
function oversizedLibraftHello(): Buffer {
  const hello = Buffer.alloc(1024)
  hello.writeBigUInt64LE(1n, 0)
  hello.writeBigUInt64LE(2n, 8)
  hello.writeBigUInt64LE(1n << 62n, 16)
  return hello
}

function handshakeWithWrongToken(id: number, address: string): Buffer {
  const record = Buffer.alloc(256)
  record.write('DRVRAFT1', 0)
  record.writeBigUInt64LE(BigInt(id), 8)
  randomBytes(32).copy(record, 16)
  record.write(address, 48)
  return Buffer.concat([record, oversizedLibraftHello()])
}

function open(address: string): Promise<Socket> {
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    const socket = connect({ host: host!, port: Number(port) }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Sends and waits until the other side has closed. */
async function sendAndSeeClosed(address: string, bytes: Buffer): Promise<number> {
  const socket = await open(address)
  let answered = 0
  socket.on('data', (chunk) => {
    answered += chunk.length
  })
  socket.on('error', () => {})
  socket.write(bytes)
  await new Promise((resolve) => socket.once('close', resolve))
  return answered
}

t.test('garbage on the raft port is closed without an answer, and the cluster goes on', options, async (t) => {
  const raft = new RaftCluster(await freeMembers(3))
  t.teardown(() => raft.remove())
  await raft.startAll()
  await raft.proposeMany(['before'])

  for (const { id, address } of raft.members) {
    const other = raft.members.find((member) => member.id !== id)!
    for (const bytes of [
      randomBytes(64 * 1024),
      Buffer.alloc(300),
      oversizedLibraftHello(),
      handshakeWithWrongToken(other.id, other.address),
    ]) {
      t.equal(await sendAndSeeClosed(address, bytes), 0, `${bytes.length} bytes to member ${id}`)
    }
  }
  await raft.proposeMany(['after'])
  for (const { id } of raft.members) {
    await raft.applied(id, 2)
    t.same(raft.machines.get(id)!.entries, ['before', 'after'])
  }
})

t.test('a flood of silent connections does not keep a member out', options, async (t) => {
  const raft = new RaftCluster(await freeMembers(3))
  t.teardown(() => raft.remove())
  await raft.startAll()
  await raft.proposeMany(['before'])
  const [follower] = await raft.followers()
  await raft.closeMember(follower!.id)

  const silent: Socket[] = []
  for (const { id, address } of raft.members) {
    if (id === follower!.id) continue
    for (let count = 0; count < 200; count += 1) {
      const socket = await open(address)
      socket.on('error', () => {})
      silent.push(socket)
    }
  }
  await raft.startMember(follower!.id)
  await raft.applied(follower!.id, 1)
  const { log } = await raft.leader()
  t.same(await log.propose(Buffer.from('after'), DEADLINE_MS), { index: 2, result: '2:after' })
  await raft.applied(follower!.id, 2)
  for (const socket of silent) socket.destroy()
})
