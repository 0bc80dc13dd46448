// The one word that an operator carries to a new host: where to ask, whom to believe there, and the secret that is good once.

import { DroverError } from './errors.ts'

export interface JoinToken {
  host: string
  /** `address:port` of the controllers that take hosts in. */
  controllers: string[]
  /** SHA-256 of the certificate of the cluster's authority, in hex: whoever shows another one isn't asked. */
  fingerprint: string
  secret: string
}

const prefix = 'drover-join-'

export function encodeJoinToken({ host, controllers, fingerprint, secret }: JoinToken): string {
  return prefix + Buffer.from(JSON.stringify([host, controllers, fingerprint, secret])).toString('base64url')
}

export function decodeJoinToken(text: string): JoinToken {
  const word = text.trim()
  const [host, controllers, fingerprint, secret] = word.startsWith(prefix) ? parsed(word.slice(prefix.length)) : []
  const listed =
    Array.isArray(controllers) && controllers.length > 0 && controllers.every((at) => typeof at === 'string')
  if (typeof host === 'string' && listed && typeof fingerprint === 'string' && typeof secret === 'string')
    return { host, controllers, fingerprint, secret }
  throw new DroverError(
    'BAD_REQUEST',
    `read the join token: its ${word.length} characters are no whole token of drover host token create; was it cut off?`,
  )
}

function parsed(words: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(words, 'base64url').toString())
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}
