// `drover up --join`: this machine becomes a host of a cluster that is there. It makes its key, which never leaves it, shows a
// controller the token's secret, over TLS and only to who has the authority that the token names, and keeps what it is told.
// Until all of that is on the disk the key stays as it is: broken off, the same token does the same again.

import { execFileSync } from 'node:child_process'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from 'node:tls'
import type { JoinAnswer, JoinRequest } from '@drover/protocol'
import { DroverError, decodeJoinToken, type JoinToken, paths, protocolVersion, version } from '@drover/protocol/plain'
import { filesIn } from './authority.ts'
import { renameDurably, toDisk } from './durable-rename.ts'

const connectDeadlineMs = 5_000
const answerDeadlineMs = 30_000
/** Controllers may be electing a leader. */
const joinDeadlineMs = 20_000
const retryPauseMs = 500
const opensslDeadlineMs = 20_000
const maxAnswerBytes = 1 << 20

export interface JoinOptions {
  token: string
  /** Where the host's certificate and key go. */
  directory: string
  /** null: the address from which this machine reaches the controller. */
  address: string | null
  onProgress: (line: string) => void
}

export interface Joined {
  answer: JoinAnswer
  address: string
}

export async function joinCluster({ token: word, directory, address, onProgress }: JoinOptions): Promise<Joined> {
  const token = decodeJoinToken(word)
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const key = join(directory, 'joining-key.pem')
  const certificateRequest = certificateRequestOf(key, token.host)
  const joined = await ask(token, (from) => ({
    host: token.host,
    secret: token.secret,
    address: address ?? from,
    certificateRequest,
    version,
    protocolVersion,
  }))
  keep(directory, key, joined.answer)
  onProgress(`host ${token.host} of cluster ${joined.answer.cluster}: certified for ${joined.address}`)
  return joined
}

/** Controller after controller; again while there are some, and none leads. */
async function ask(token: JoinToken, requestFrom: (address: string) => JoinRequest): Promise<Joined> {
  const endsAtMs = performance.now() + joinDeadlineMs
  for (;;) {
    const failures: string[] = []
    let electing = false
    for (const controller of token.controllers) {
      try {
        const { authority, from } = await authorityOf(controller, token)
        const wanted = requestFrom(from)
        return { answer: await post(controller, authority, wanted), address: wanted.address }
      } catch (thrown) {
        const error = DroverError.from(thrown)
        if (!error.retryable && error.code !== 'API_UNREACHABLE') throw error
        electing ||= error.retryable
        failures.push(error.message)
      }
    }
    if (!electing || performance.now() > endsAtMs)
      throw new DroverError('API_UNREACHABLE', `join: no controller takes this host in: ${failures.join('; ')}`)
    await pause(retryPauseMs)
  }
}

/** What the controller shows: believed only if the token's fingerprint is its authority's. Nothing is sent before that. */
function authorityOf(controller: string, token: JoinToken): Promise<{ authority: string; from: string }> {
  const { host, port } = placeOf(controller)
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, rejectUnauthorized: false, timeout: connectDeadlineMs })
    const fail = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    socket.on('timeout', () => fail(unreachable(controller, `no answer within ${connectDeadlineMs} ms`)))
    socket.on('error', (error) => fail(unreachable(controller, error.message)))
    socket.on('secureConnect', () => {
      const { issuerCertificate } = socket.getPeerCertificate(true)
      const from = (socket.localAddress ?? '').replace(/^::ffff:/, '')
      const shown = issuerCertificate?.raw ? createHash('sha256').update(issuerCertificate.raw).digest('hex') : 'none'
      if (shown !== token.fingerprint) {
        const text = `join: ${controller} shows another authority (SHA-256 ${shown.slice(0, 16)}…) than the token names (${token.fingerprint.slice(0, 16)}…): another cluster, or somebody in between`
        return fail(new DroverError('TOKEN_REFUSED', text))
      }
      const authority = new X509Certificate(issuerCertificate.raw).toString()
      socket.destroy()
      resolve({ authority, from })
    })
  })
}

function post(controller: string, authority: string, body: JoinRequest): Promise<JoinAnswer> {
  const { host, port } = placeOf(controller)
  const text = JSON.stringify(body)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
  return new Promise((resolve, reject) => {
    const options = { host, port, ca: authority, method: 'POST', path: paths.join, headers, timeout: answerDeadlineMs }
    const asked = request({ ...options, agent: false, minVersion: 'TLSv1.3' }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxAnswerBytes) asked.destroy(new Error(`an answer of over ${maxAnswerBytes} bytes`))
        chunks.push(chunk)
      })
      response.on('error', (error) => reject(unreachable(controller, error.message)))
      response.on('end', () => {
        try {
          const answer: unknown = JSON.parse(Buffer.concat(chunks).toString())
          if (response.statusCode === 200) resolve(answer as JoinAnswer)
          else reject(DroverError.fromJSON(answer))
        } catch {
          reject(unreachable(controller, `an answer of status ${response.statusCode} that is not JSON`))
        }
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${answerDeadlineMs} ms`)))
    asked.on('error', (error) => reject(unreachable(controller, error.message)))
    asked.end(text)
  })
}

/** The key goes to its place first and the certificate last: one that is there has its key. */
function keep(directory: string, key: string, { certificate, authority }: JoinAnswer): void {
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(readFileSync(key))))
    throw new DroverError('INTERNAL', 'join: the certificate that came is not for this machine’s key')
  const files = filesIn(directory)
  writeFileSync(files.authority, authority, { mode: 0o600 })
  toDisk(files.authority)
  const fresh = `${files.certificate}.new`
  writeFileSync(fresh, certificate, { mode: 0o600 })
  renameDurably(key, files.key)
  renameDurably(fresh, files.certificate)
}

function certificateRequestOf(key: string, host: string): string {
  try {
    const options = { timeout: opensslDeadlineMs, encoding: 'utf8' } as const
    if (!existsSync(key)) {
      const command = ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${key}.new`]
      execFileSync('openssl', command, options)
      chmodSync(`${key}.new`, 0o600)
      renameDurably(`${key}.new`, key)
    }
    return execFileSync('openssl', ['req', '-new', '-key', key, '-subj', `/CN=${host}`], options)
  } catch (cause) {
    const why = String((cause as { stderr?: string }).stderr || (cause as Error).message).trim()
    throw new DroverError('INTERNAL', `join: make a key at ${key} with openssl: ${why}`, { cause })
  }
}

function placeOf(controller: string): { host: string; port: number } {
  const colon = controller.lastIndexOf(':')
  return { host: controller.slice(0, colon), port: Number(controller.slice(colon + 1)) }
}

const unreachable = (controller: string, why: string): DroverError =>
  new DroverError('API_UNREACHABLE', `controller ${controller}: ${why}`)
