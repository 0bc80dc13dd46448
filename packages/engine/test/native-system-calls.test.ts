// A container's own lists of system calls: what it denies fails for init's children and commands, 32-bit programs' too; what it allows is
// no longer refused; the usual list holds for the rest. Needs root.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Security } from '@drover/protocol'
import t from 'tap'
import { reasonToSkip } from './engine-program.ts'
import { OneHost } from './one-host.ts'

const source = fileURLToPath(new URL('system-calls.c', import.meta.url))
const skip = reasonToSkip || (existsSync('/usr/bin/cc') ? false : 'no C compiler')

t.test('lists of system calls', { skip }, async (t) => {
  const stage = await OneHost.make('calls', 73, (image) => {
    execFileSync('cc', ['-static', '-O1', '-o', join(image, 'bin/system-calls'), source])
  })
  t.teardown(() => stage.network.close())
  const outcome = async (container: string, call: string) => (await stage.sh(container, `system-calls ${call}`)).output

  await t.test('denied and allowed by name, in 32-bit programs too', async (t) => {
    const usual = await stage.startFor(t)
    const other = await stage.startFor(t, {
      security: { denySyscalls: ['getppid', 'sethostname'], allowSyscalls: ['io_uring_setup'] },
    })
    for (const call of ['getppid', 'getppid-32']) {
      t.match(await outcome(usual, call), /^(done|ENOSYS)$/)
      t.equal(await outcome(other, call), 'ENOSYS', call)
    }
    t.equal(await outcome(usual, 'getppid'), 'done')
    t.equal(await outcome(usual, 'io_uring'), 'ENOSYS')
    t.not(await outcome(other, 'io_uring'), 'ENOSYS', 'the kernel’s own answer')
    t.match(await stage.sh(other, 'busybox hostname other'), { code: 1, output: /not implemented/ })
    t.match(await stage.sh(other, 'busybox umount -f /proc'), { code: 1 }, 'the usual list holds for the rest')
  })

  await t.test('what is no system call is refused by name', async (t) => {
    const refused = (security: Security, message: RegExp) =>
      t.rejects(stage.client.call('create', { spec: stage.spec(90, { security }) }), { code: 'BAD_REQUEST', message })
    await refused({ denySyscalls: ['no_such_call'] }, /denySyscalls.*`no_such_call` is no system call/)
    await refused({ allowSyscalls: ['../x'] }, /allowSyscalls.*is no system call like keyctl/)
    await refused({ denySyscalls: ['keyctl'], allowSyscalls: ['keyctl'] }, /keyctl is in `allowSyscalls` as well/)
  })

  await t.test('changed while it is stopped, in force from its next start on', async (t) => {
    const container = await stage.startFor(t)
    const { limits } = stage.spec(1)
    const update = (security: Security) => stage.client.call('update', { container, epoch: 1, limits, security })
    await t.rejects(update({ denySyscalls: ['getppid'] }), { code: 'WRONG_STATE' })
    await stage.client.call('stop', { container, epoch: 1, timeoutMs: 10_000 })
    await t.rejects(update({ denySyscalls: ['no_such_call'] }), { code: 'BAD_REQUEST' })
    await update({ denySyscalls: ['getppid'] })
    await stage.client.call('start', { container, epoch: 1 })
    t.equal(await outcome(container, 'getppid'), 'ENOSYS')
  })
})
