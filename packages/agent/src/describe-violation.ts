// Turns the first rule that a value breaks into words: field, rule and (shortened) value. Used for configuration, bus
// messages and stream frames, so that bad input is named the same way everywhere.

interface Checker {
  Errors(value: unknown): { instancePath: string; message: string }[]
}

const maxShownCharacters = 80

export function describeViolation(checker: Checker, value: unknown): string {
  const first = checker.Errors(value)[0]
  if (!first) return 'value has the wrong form'
  const field = first.instancePath === '' ? 'the whole value' : first.instancePath.slice(1).replaceAll('/', '.')
  // A field named secret is never shown, not even when it is too short.
  if (field.endsWith('secret')) return `${field} ${first.message}`
  return `${field} ${first.message} (is ${show(valueAt(value, first.instancePath))})`
}

function valueAt(value: unknown, pointer: string): unknown {
  let current = value
  for (const key of pointer.split('/').slice(1)) current = (current as Record<string, unknown> | undefined)?.[key]
  return current
}

function show(value: unknown): string {
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'an array' : 'an object'
  return String(JSON.stringify(value) ?? 'missing').slice(0, maxShownCharacters)
}
