// A long list of names in parts that each fit into a message.

/** A character is at most six bytes in JSON: below the limit of a frame. */
const mostTextBytes = 128 << 10

/** One part, empty, of nothing. */
export function* partsOf(texts: readonly string[]): Generator<{ part: string[]; last: boolean }> {
  let from = 0
  do {
    let to = from
    for (let bytes = 0; to < texts.length && bytes < mostTextBytes; to++) bytes += (texts[to] as string).length + 3
    yield { part: texts.slice(from, to), last: to === texts.length }
    from = to
  } while (from < texts.length)
}
