// One value of a #cloud-config, with the name of where it stands: read as what it must be, or refused with field, rule and value.

import { DroverError } from './errors.ts'

const shownCharacters = 60

export class Field {
  readonly name: string
  readonly value: unknown

  constructor(name: string, value: unknown) {
    this.name = name
    this.value = value
  }

  refuse(rule: string): never {
    const shown = String(JSON.stringify(this.value) ?? 'missing').slice(0, shownCharacters)
    throw new DroverError('BAD_REQUEST', `${this.name}: must be ${rule}, it is ${shown}`)
  }

  /** The same without the value: it may be a secret. */
  refuseUnseen(rule: string): never {
    throw new DroverError('BAD_REQUEST', `${this.name}: ${rule}`)
  }

  get given(): boolean {
    return this.value !== undefined && this.value !== null
  }

  text(rule = 'a string', pattern = /^/): string {
    return typeof this.value === 'string' && pattern.test(this.value) ? this.value : this.refuse(rule)
  }

  boolean(usual: boolean): boolean {
    if (!this.given) return usual
    return typeof this.value === 'boolean' ? this.value : this.refuse('true or false')
  }

  integer(least: number, most: number): number {
    const { value } = this
    const fits = typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
    return fits ? value : this.refuse(`a whole number from ${least} to ${most}`)
  }

  list(most: number): Field[] {
    if (!this.given) return []
    const { value } = this
    if (!Array.isArray(value) || value.length > most) return this.refuse(`a list of at most ${most}`)
    return value.map((each, at) => new Field(`${this.name}[${at}]`, each))
  }

  /** One string for a list of one. */
  texts(most: number, rule?: string, pattern?: RegExp): string[] {
    if (typeof this.value === 'string') return [this.text(rule, pattern)]
    return this.list(most).map((each) => each.text(rule, pattern))
  }

  /** Its members by name; others than `known` are refused, with a word of what there is instead. */
  members<K extends string>(known: readonly K[], hints: Record<string, string> = {}): Record<K, Field> {
    const { value } = this
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return this.refuse('a mapping of keys')
    const prefix = this.name === '' ? '' : `${this.name}.`
    for (const key of Object.keys(value)) {
      if ((known as readonly string[]).includes(key)) continue
      const instead = Object.hasOwn(hints, key) ? hints[key] : `known are ${known.join(', ')}`
      throw new DroverError('BAD_REQUEST', `${prefix}${key}: is not carried out without cloud-init; ${instead}`)
    }
    const members = value as Record<string, unknown>
    return Object.fromEntries(known.map((key) => [key, new Field(`${prefix}${key}`, members[key])])) as Record<K, Field>
  }
}
