// Whether two values of JSON say the same. Compared as texts they would have to be written first, and a host looks at all its containers every second.

/** A missing field is not one that is null; the order of fields means nothing. `but`: fields of the outermost object that don't count. */
export function sameValue(left: unknown, right: unknown, but: ReadonlySet<string> = none): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) !== Array.isArray(right)) return false
  const [one, other] = [left as Record<string, unknown>, right as Record<string, unknown>]
  for (const key in one) if (!but.has(key) && !sameValue(one[key], other[key])) return false
  for (const key in other) if (!but.has(key) && other[key] !== undefined && one[key] === undefined) return false
  return true
}

const none: ReadonlySet<string> = new Set()
