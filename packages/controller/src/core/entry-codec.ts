// Entries as the log has them: JSON, held against its form when it is read. One that isn't is refused, whoever wrote it.

import { DroverError } from '@drover/protocol'
import { Compile } from '@drover/schema'
import { Entry } from './entries.ts'

const forms = new Map<string, (typeof Entry.anyOf)[number]>(
  Entry.anyOf.map((form) => [form.properties.type.const, form]),
)
/** By type, each made when the first of its kind comes: an entry is held against its own form, not against forty others before it. */
const checks = new Map<string, (value: unknown) => boolean>()

function hasItsForm(value: unknown): value is Entry {
  const type = String((value as { type?: unknown } | null)?.type)
  const form = forms.get(type)
  if (form === undefined) return false
  let check = checks.get(type)
  if (check === undefined) {
    const validator = Compile(form)
    check = (each) => validator.Check(each)
    checks.set(type, check)
  }
  return check(value)
}

export function encodeEntry(value: Entry): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function decodeEntry(bytes: Uint8Array): Entry {
  const text = new TextDecoder().decode(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new DroverError('INTERNAL', `decode a log entry of ${bytes.length} bytes: it is not JSON`, { cause })
  }
  if (hasItsForm(value)) return value
  const type = (value as { type?: unknown } | null)?.type
  throw new DroverError('INTERNAL', `decode a log entry of type ${String(type)}: this version doesn’t know its form`)
}
