// An archive at a URL: asked for with what is known of the last one, so that a server which has the same says so and sends nothing. The
// transport must keep others from putting something else in its place: TLS, this machine itself, or a SHA-256 that somebody said.

import { DroverError } from '@drover/protocol/plain'
import { UsageError } from './failure.ts'

export interface Known {
  etag: string | null
  modified: string | null
}

export interface UrlAnswer extends Known {
  content: AsyncIterable<Uint8Array>
  /** null: the server doesn't say. */
  sizeBytes: number | null
}

export const isUrl = (source: string): boolean => /^https?:\/\//.test(source)

const ownNames = ['127.0.0.1', 'localhost', '[::1]']

function requireSafe(url: string, sha256: string | undefined): void {
  const { protocol, hostname } = parsed(url)
  if (protocol === 'https:' || sha256 !== undefined || ownNames.includes(hostname)) return
  throw new UsageError(`${url}: without TLS anybody on the way can change it`, 'say what it must be: --sha256 HEX')
}

/** null: it is as it was. Node’s fetch waits five minutes for an answer, and as long for the next piece of it. */
export async function openUrl(
  url: string,
  { signal, sha256, known }: { signal: AbortSignal; sha256?: string | undefined; known?: Known | undefined },
): Promise<UrlAnswer | null> {
  requireSafe(url, sha256)
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (known?.etag) headers['if-none-match'] = known.etag
  if (known?.modified) headers['if-modified-since'] = known.modified
  const answer = await follow(parsed(url).href, { headers, signal, redirect: 'manual' }, url, sha256)
  if (answer.status === 304 && known) return null
  if (!answer.ok || answer.body === null) {
    await answer.body?.cancel()
    throw new DroverError('TRANSFER_FAILED', `fetch ${url}: the server says ${answer.status} ${answer.statusText}`)
  }
  const length = Number(answer.headers.get('content-length') ?? Number.NaN)
  return {
    content: answer.body as unknown as AsyncIterable<Uint8Array>,
    sizeBytes: Number.isSafeInteger(length) ? length : null,
    etag: answer.headers.get('etag'),
    modified: answer.headers.get('last-modified'),
  }
}

const redirections = [301, 302, 303, 307, 308]
/** As fetch itself would (Fetch standard, 4.4). */
const mostRedirections = 20

/** Step by step: whoever can change one answer on the way decides where the next one comes from. */
async function follow(
  from: string,
  how: RequestInit & { signal: AbortSignal },
  url: string,
  sha256: string | undefined,
) {
  let at = from
  for (let step = 0; step <= mostRedirections; step += 1) {
    const answer = await fetch(at, how).catch((cause: Error) => {
      if (how.signal.aborted) throw cause
      const why = (cause.cause as Error | undefined)?.message ?? cause.message
      throw new DroverError('TRANSFER_FAILED', `fetch ${url}: ${why}`, { cause, retryable: true })
    })
    const location = answer.headers.get('location')
    if (!redirections.includes(answer.status) || location === null) return answer
    await answer.body?.cancel()
    if (!URL.canParse(location, at) || !/^https?:$/.test(new URL(location, at).protocol))
      throw new DroverError('TRANSFER_FAILED', `fetch ${url}: it leads to ${location}, which is no web address`)
    at = new URL(location, at).href
    requireSafe(at, sha256)
  }
  throw new DroverError('TRANSFER_FAILED', `fetch ${url}: it leads on more than ${mostRedirections} times`)
}

function parsed(url: string): URL {
  try {
    return new URL(url)
  } catch {
    throw new UsageError(`${url} is no URL`)
  }
}
