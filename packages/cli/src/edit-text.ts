// A text in the user's own editor, and what became of it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UsageError } from './failure.ts'
import type { Session } from './session.ts'

export async function editText(session: Session, name: string, text: string): Promise<string> {
  const { environment } = session.terminal
  const editor = environment.VISUAL || environment.EDITOR || 'vi'
  const directory = await mkdtemp(join(tmpdir(), 'drover-edit-'))
  try {
    const copy = join(directory, name)
    await writeFile(copy, text, { mode: 0o600 })
    // As a shell would take it: editors are given with options.
    const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', copy], { stdio: 'inherit', env: environment })
    const [code] = (await once(child, 'close')) as [number | null]
    if (code !== 0) throw new UsageError(`the editor (${editor}) failed: nothing was changed`)
    return await readFile(copy, 'utf8')
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
