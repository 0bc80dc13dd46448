// Server-sent events out of pieces of text, however they were cut: the part of the standard that the API uses.

export class EventParser {
  #rest = ''
  #id = null
  #data = []

  /** The events that are complete with this piece: {id, data}. */
  push(text) {
    const events = []
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/)
    this.#rest = lines.pop()
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length > 0) events.push({ id: this.#id, data: this.#data.join('\n') })
        this.#data = []
        continue
      }
      if (line.startsWith(':')) continue
      const colon = line.indexOf(':')
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'data') this.#data.push(value)
      if (field === 'id') this.#id = value
    }
    return events
  }
}
